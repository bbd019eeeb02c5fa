// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"errors"
	"fmt"
	"slices"
)

// Validate returns an error unless this engine can have written the ledger: the
// invariants 1 to 3 of the package documentation hold, and every record that is
// referred to exists. A platform calls it on what it has read, because files and
// annotations can be edited.
//
// The other invariants concern more than one ledger. The tests of the engine and of
// the platforms check them.
func (l Ledger) Validate() error {
	switch {
	case l.Schema < 1:
		return fmt.Errorf("it has schema version %d, and the first one is 1", l.Schema)
	case l.Schema > SchemaVersion:
		return fmt.Errorf("it was written by a newer version of the provider (schema %d; this one reads up to %d): "+
			"use that version again", l.Schema, SchemaVersion)
	}
	if _, err := ParseEnvironment(string(l.Live)); err != nil {
		return fmt.Errorf("live: %w", err)
	}
	for _, env := range Environments() {
		if err := l.validateSlot(env); err != nil {
			return fmt.Errorf("%s: %w", env, err)
		}
	}
	if err := l.validateRecords(); err != nil {
		return err
	}
	return l.validateLive()
}

func (l Ledger) validateSlot(env Environment) error {
	slot := l.Slot(env)
	states := []State{Idle, Deploying, Ready, Failed}
	if env == l.Live {
		states = []State{Idle, Live}
	}
	if !slices.Contains(states, slot.State) {
		return fmt.Errorf("state %q is not possible in this environment", slot.State)
	}
	if slot.Release == nil {
		if slot.State != Idle || slot.Record != "" || slot.Checked {
			return fmt.Errorf("it is %s without a release", slot.State)
		}
		return nil
	}
	if slot.Release.Replicas < 1 {
		return fmt.Errorf("release %q has %d replicas", slot.Release.Version, slot.Release.Replicas)
	}
	record, ok := l.Record(slot.Record)
	if !ok {
		return fmt.Errorf("record %q is missing", slot.Record)
	}
	release := slot.Release
	if record.Environment != env || record.Version != release.Version || record.Fingerprint != release.Fingerprint {
		return fmt.Errorf("record %s belongs to another release", record.ID)
	}
	return nil
}

func (l Ledger) validateRecords() error {
	seen := map[int]bool{}
	for _, r := range l.Records {
		n := number(r.ID)
		if n < 1 || n > l.Sequence || seen[n] {
			return fmt.Errorf("record ID %q is not possible", r.ID)
		}
		seen[n] = true
	}
	return nil
}

func (l Ledger) validateLive() error {
	var live []Record
	everLive := false
	for _, r := range l.Records {
		if r.Status == StatusLive {
			live = append(live, r)
		}
		everLive = everLive || r.Status == StatusSuperseded || r.Status == StatusRolledBack
	}
	if !l.IsServing() {
		if len(live) > 0 {
			return fmt.Errorf("record %s is live, but no environment is", live[0].ID)
		}
		if everLive && !l.Destroying {
			return errors.New("something has been live, but nothing is")
		}
		return nil
	}
	slot := l.Slot(l.Live)
	if len(live) != 1 || live[0].ID != slot.Record {
		return fmt.Errorf("%d records are live, but it should be the one of %s only", len(live), l.Live)
	}
	if live[0].Operation == OpDeploy && !slot.Checked {
		return fmt.Errorf("%s is live without a passed health check", live[0].ID)
	}
	if l.Destroying {
		return errors.New("it is being destroyed, but is still live")
	}
	return nil
}
