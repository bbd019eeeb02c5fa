// SPDX-License-Identifier: MPL-2.0

package process

import (
	"sync"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process/listener"
)

// view is what listens on this machine, and which processes there are.
type view struct {
	begun     time.Time
	listeners listener.Table
	// processes reads them once, when they are asked for.
	processes func() []snapshot
}

// views makes a view for many supervisors together: it costs the same for one replica and for a
// hundred.
type views struct {
	mu   sync.Mutex
	last view
}

// since returns a view that was not made before begin.
func (v *views) since(begin time.Time) (view, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.last.begun.IsZero() && !v.last.begun.Before(begin) {
		return v.last, nil
	}
	next := view{begun: time.Now(), processes: sync.OnceValue(snapshots)}
	var err error
	if next.listeners, err = listener.Read(); err != nil {
		return view{}, err
	}
	v.last = next
	return next, nil
}
