// SPDX-License-Identifier: MPL-2.0

package process

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// leftovers are the trees of runs that have left something behind that SIGKILL did not end at once,
// or a control group that was busy.
type leftovers struct {
	mu    sync.Mutex
	trees []*tree
}

func (l *leftovers) add(t *tree) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trees = append(l.trees, t)
}

// end ends them, if possible within grace each. It returns the error of the first that stays.
func (l *leftovers) end(grace time.Duration) (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trees = slices.DeleteFunc(l.trees, func(t *tree) bool {
		failed := t.end(grace)
		err = cmp.Or(err, failed)
		return failed == nil
	})
	return err
}
