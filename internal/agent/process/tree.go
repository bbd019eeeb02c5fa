// SPDX-License-Identifier: MPL-2.0

package process

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// strayGrace is how long processes that a replica has left behind may take to end after SIGKILL.
// It is shorter than killGrace, so that Supervisor.Stop names the process that the system holds.
const strayGrace = killGrace / 2

// tree is everything that one run of a replica has started, whatever group or session that is
// in. It is found by the incarnation in its environment, by the session of the replica, and by
// its parents. A process that has erased its environment, has a session of its own and was given
// away by its parent is found only if note has seen it before.
//
// A tree can be found after a restart of the agent too. A control group would hold all of it, but
// not every user can make one, and the orphans of a subreaper do not tell whose they were.
type tree struct {
	run State

	mu   sync.Mutex
	seen []State
}

// note remembers what belongs to the tree now, while parents that are about to end are there.
func (t *tree) note() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen = findTree(t.run, t.seen)
}

// end kills what is left of the tree until nothing is, since a process can start others while it
// is killed. After grace it returns an error that names what the system holds.
func (t *tree) end(grace time.Duration) error {
	deadline := time.Now().Add(grace)
	for {
		t.note()
		t.mu.Lock()
		left := slices.Clone(t.seen)
		t.mu.Unlock()
		if len(left) == 0 {
			return nil
		}
		for _, process := range left {
			process.kill()
		}
		for _, process := range left {
			if !process.awaitEnd(deadline) {
				return fmt.Errorf("process %d, which it has started, has not ended %s after SIGKILL",
					process.PID, grace)
			}
		}
	}
}
