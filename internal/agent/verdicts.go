// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"slices"
	"sync"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/upkeep"
)

// verdicts are the unhealthy replicas of a deployment, as they are stored for the next agent.
type verdicts struct {
	dir string

	mu       sync.Mutex
	stored   []store.Verdict
	isClosed bool
}

// readVerdicts returns the unhealthy runs that the former agent has stored in dir.
func readVerdicts(dir string) (*verdicts, []upkeep.UnhealthyRun, error) {
	stored, err := store.ReadVerdicts(dir)
	var runs []upkeep.UnhealthyRun
	for _, v := range stored {
		run := upkeep.Run{Environment: v.Environment, Backend: v.Backend, Address: v.Address}
		runs = append(runs, upkeep.UnhealthyRun{Run: run, Cause: v.Cause, Since: v.Since})
	}
	return &verdicts{dir: dir, stored: stored}, runs, err
}

// store stores what list returns, if that is something else than before.
func (v *verdicts) store(list func() []upkeep.UnhealthyRun) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.isClosed {
		return nil
	}
	var now []store.Verdict
	for _, run := range list() {
		now = append(now, store.Verdict{
			Environment: run.Environment, Backend: run.Backend, Address: run.Address,
			Cause: run.Cause, Since: run.Since.Round(0).UTC(),
		})
	}
	if slices.Equal(now, v.stored) {
		return nil
	}
	if err := store.WriteVerdicts(v.dir, now); err != nil {
		return err
	}
	v.stored = now
	return nil
}

// close returns once nothing more is stored.
func (v *verdicts) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.isClosed = true
}

// followVerdicts routes requests by the conditions of the replicas, and stores them.
func (d *deployment) followVerdicts() {
	d.reroute()
	if d.stateDir.checkPresent() != nil {
		return
	}
	if err := d.verdicts.store(d.keeper.Unhealthy); err != nil {
		d.log.Error("the next agent will not know which replicas are unhealthy", "error", err)
	}
}
