// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"fmt"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// isStoredOrRuns reports whether anything is stored or runs.
func (d *deployment) isStoredOrRuns() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, env := range d.environments {
		if !env.isEmpty() {
			return true
		}
	}
	return d.ledger.HasLedger()
}

// isStored reports whether there is a ledger.
func (d *deployment) isStored() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ledger.HasLedger()
}

// isEnding reports whether something that should not run still does.
func (d *deployment) isEnding() bool {
	for _, env := range d.environments {
		if env.isEnding() {
			return true
		}
	}
	return false
}

// observe returns the document, and for each environment how many replicas run and how
// many of these do not listen or are unhealthy. They are counted as in bluegreen.Status. External replicas
// count as running.
func (d *deployment) observe() (doc store.Document, running, unready map[bluegreen.Environment]int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.ledger.HasLedger() {
		return store.Document{}, nil, nil, bluegreen.ErrNotFound
	}
	l := d.ledger.Current().Ledger
	running, unready = map[bluegreen.Environment]int{}, map[bluegreen.Environment]int{}
	for name, env := range d.environments {
		slot := l.Slot(name)
		for _, c := range env.candidates() {
			if !slot.IsCounted(c.Ref, store.CanReceiveTraffic) {
				continue
			}
			running[name]++
			if !c.isListening || d.unhealthyCause(name, c.Backend) != "" {
				unready[name]++
			}
		}
	}
	if l.IsServing() && !d.frontend.IsOpen() {
		// No client can reach what runs there.
		running[l.Live], unready[l.Live] = 0, 0
	}
	doc = d.ledger.Current()
	doc.Ledger.Key, err = d.key.Key()
	return doc, running, unready, err
}

// damage says which files are lost, and what brings them back.
func (d *deployment) damage() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []string
	for _, err := range []error{d.key.Damage(), d.upkeep.Damage()} {
		if err != nil {
			list = append(list, err.Error())
		}
	}
	for _, name := range bluegreen.Environments() {
		if lost := d.describeLost(name); lost != "" {
			list = append(list, lost)
		}
	}
	return list
}

// describeLost says that it is not known what should run in an environment, and why, "" if it is.
func (d *deployment) describeLost(name bluegreen.Environment) string {
	problem := d.environments[name].problemOf()
	if problem == nil {
		return ""
	}
	return fmt.Sprintf("it is not known what should run in %s, until the next deploy or repair there: %v",
		name, problem)
}

// keptSettings returns the settings that the deployment keeps from one commit to the next.
func (d *deployment) keptSettings() store.KeptSettings {
	d.mu.Lock()
	defer d.mu.Unlock()
	return store.NewKeptSettings(d.ledger.Current(), d.upkeep)
}

func (d *deployment) history() ([]bluegreen.Record, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ledger.History()
}
