// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/frontend"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// commit replaces the ledger and points traffic where it says. The file comes
// first: the route changes only once the ledger is durable. upkeep, if not nil, says how
// the replicas of one of the releases are looked after; if it is nil, that does not change.
func (d *deployment) commit(
	next bluegreen.Ledger, closed []bluegreen.Record, front store.Frontend, upkeep *store.Upkeep,
) error {
	begin := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.ledger.Check(next); err != nil {
		return err
	}
	change, err := d.frontend.Prepare(front)
	if err != nil {
		return err
	}
	former := d.ledger.Current().Ledger
	err = d.reserve.Use(func() error { return d.store(next, closed, change.Binding, upkeep) })
	if d.ledger.Current().Ledger.Generation != next.Generation {
		d.frontend.Discard(change)
		return err
	}
	d.lookAfter(&former)
	// Even after an error, because the file may have been written anyway.
	replicas := d.candidates()
	switched := d.frontend.Apply(change, d.ledger.Current().Ledger, replicas)
	d.formers.route(d.name, d.ledger.Current().Ledger, replicas)
	if switched {
		d.metrics.ObserveSwitch(time.Since(begin))
		d.log.Info("switched", "live", d.frontend.Live(), "generation", next.Generation)
	}
	return err
}

// store makes a commit durable. It can be called again after it has failed.
func (d *deployment) store(
	next bluegreen.Ledger, closed []bluegreen.Record, binding store.Binding, upkeep *store.Upkeep,
) error {
	former := d.ledger.Current().Ledger
	if former.Generation == next.Generation {
		return nil
	}
	// The key and the health check are stored first. They do no harm if the ledger then
	// cannot be written.
	if err := d.key.Commit(next.Key); err != nil {
		return err
	}
	if err := d.upkeep.Commit(upkeep, former, next); err != nil {
		return err
	}
	return d.ledger.Commit(next, closed, binding)
}

// reroute follows a change of what runs. In an agent that has let go the present agent does.
func (d *deployment) reroute() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closing.Err() == nil {
		d.route()
	}
}

// route sends requests where the ledger says.
func (d *deployment) route() {
	d.lookAfter(nil)
	l, replicas := d.ledger.Current().Ledger, d.candidates()
	d.frontend.Route(l, replicas)
	d.formers.route(d.name, l, replicas)
}

// candidates are the replicas that may get traffic: nothing but a process of the replica listens
// at their addresses.
func (d *deployment) candidates() map[bluegreen.Environment][]frontend.Replica {
	replicas := map[bluegreen.Environment][]frontend.Replica{}
	for name, env := range d.environments {
		for _, c := range env.candidates() {
			if !c.isListening {
				continue
			}
			c.IsUnhealthy = d.unhealthyCause(name, c.Backend) != ""
			replicas[name] = append(replicas[name], c.Replica)
		}
	}
	return replicas
}
