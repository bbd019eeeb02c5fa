// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"errors"
	"fmt"
	"slices"
)

// Validate reports whether the ledger is one that this engine can have written:
// the invariants hold and everything that is referred to is there. A platform
// calls it on what it read, because files and annotations can be edited.
//
// The invariants, true after every commit:
//
//  1. At most one environment is live, and it is the one Live points at.
//  2. Once anything has been live, exactly one record is live, and it names the
//     live environment and its version.
//  3. Nothing is live without a passed health check of that very release, a
//     rollback and an adopted workload aside.
//
// That no failing operation changes what serves (4), and that no release is half
// recorded (5), shows only across commits; the tests of the engine hold it to that.
func (l Ledger) Validate() error {
	if l.Schema < 1 || l.Schema > SchemaVersion {
		return fmt.Errorf("schema version %d is not one of 1 to %d: a newer provider wrote this ledger", l.Schema, SchemaVersion)
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
		return fmt.Errorf("state %q is not possible here", slot.State)
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
	if record.Environment != env || record.Version != slot.Release.Version || record.Fingerprint != slot.Release.Fingerprint {
		return fmt.Errorf("record %s is of another release", record.ID)
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
		return fmt.Errorf("%d records are live, and not just that of %s", len(live), l.Live)
	}
	if live[0].Operation == OpDeploy && !slot.Checked {
		return fmt.Errorf("%s is live without a passed health check", live[0].ID)
	}
	if l.Destroying {
		return errors.New("it is being destroyed, but still serves")
	}
	return nil
}
