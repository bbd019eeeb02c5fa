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

// strayPoll is how often a stray is looked at if the system does not report its end.
const strayPoll = 10 * time.Millisecond

// tree is everything that one run of a replica has started, whatever group or session that is
// in. It is found by the control group of the run, by its mark, by the incarnation in its
// environment, by the session of the replica, and by its parents. Not every agent may make control
// groups. Without one, a process that has removed the mark, has erased its environment, has a
// session of its own and was given away by its parent is found only if note has seen it before.
//
// A tree can be found after a restart of the agent too.
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
// is killed, and removes the control group. After grace it returns an error that names what the
// system holds.
func (t *tree) end(grace time.Duration) error {
	deadline := time.Now().Add(grace)
	for {
		t.note()
		t.mu.Lock()
		left := slices.Clone(t.seen)
		t.mu.Unlock()
		if len(left) == 0 {
			if err := t.run.Group.remove(); err == nil || time.Now().After(deadline) {
				return err
			}
			// A process of which only threads are left is in no list.
			t.run.Group.kill()
			time.Sleep(strayPoll)
			continue
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d, which it has started, is one of those that are left %s after SIGKILL: "+
				"they start others while they are ended", left[0].PID, grace)
		}
		t.run.Group.kill()
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
