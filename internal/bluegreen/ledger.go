// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// SchemaVersion is the version of the ledger's format that this engine writes.
// It reads every version up to this one.
const SchemaVersion = 1

// Ledger is everything known about a deployment: who is live, what runs where,
// and the records that can still change. It is a value: transitions return a
// changed copy and never write through the original.
type Ledger struct {
	Schema int    `json:"schema"`
	Name   string `json:"name"`
	// Generation counts the commits. It is what a plan is compared with.
	Generation uint64 `json:"generation"`
	// Live points at the environment that traffic reaches. Until something has
	// been live it points at an environment that is not Live, and nothing serves.
	Live  Environment `json:"live"`
	Blue  Slot        `json:"blue"`
	Green Slot        `json:"green"`
	// Sequence is the number of the newest record. It only grows.
	Sequence int `json:"sequence"`
	// HistoryLimit is how many records are kept, the ones in the ledger included.
	HistoryLimit int `json:"history_limit"`
	// Records are the ones that an environment refers to, oldest first. The
	// others are closed: they never change again and live in the archive.
	Records []Record `json:"records"`
	// Created is false from the first commit until an operation that deploys has
	// run to its end, watch included. Until then the deployment belongs to nobody's
	// Terraform state.
	Created bool `json:"settled"`
	// WatchDue is the ID of the live record whose watch after the switch has not
	// ended, "" where none is due.
	WatchDue string `json:"unwatched,omitempty"`
	// Destroying is set once the removal of the deployment has begun.
	Destroying bool `json:"destroying,omitempty"`
}

// Slot is what the ledger knows of one environment.
type Slot struct {
	State State `json:"state"`
	// Release is nil in an empty environment. It is never written through.
	Release *Release `json:"release,omitempty"`
	// Record is the ID of the record that brought the release here.
	Record string `json:"record,omitempty"`
	// Checked is true once this very release passed its health check here.
	Checked bool `json:"checked,omitempty"`
	// Passed are the instances that passed; traffic goes to no other.
	Passed     []InstanceRef `json:"passed,omitempty"`
	DeployedAt *time.Time    `json:"deployed_at,omitempty"`
}

// HasRelease reports whether the slot holds the release with this fingerprint.
func (s Slot) HasRelease(fingerprint string) bool {
	return s.Release != nil && s.Release.Fingerprint == fingerprint
}

// Slot returns what the ledger knows of env.
func (l Ledger) Slot(env Environment) Slot {
	if env == Blue {
		return l.Blue
	}
	return l.Green
}

// Staging is the environment that has no traffic.
func (l Ledger) Staging() Environment { return l.Live.Other() }

// IsServing reports whether there is a live environment that traffic reaches.
func (l Ledger) IsServing() bool { return l.Slot(l.Live).State == Live }

// LiveRecord returns the record of the release that serves.
func (l Ledger) LiveRecord() (Record, bool) {
	if !l.IsServing() {
		return Record{}, false
	}
	return l.Record(l.Slot(l.Live).Record)
}

// Record returns the record with this ID if the ledger still holds it.
func (l Ledger) Record(id string) (Record, bool) {
	i := slices.IndexFunc(l.Records, func(r Record) bool { return r.ID == id })
	if i < 0 {
		return Record{}, false
	}
	return l.Records[i], true
}

// RollbackTarget returns the record of the standby that a rollback would bring
// back: the release that the live one replaced, and that was not itself rolled back.
func (l Ledger) RollbackTarget() (Record, bool) {
	live, serving := l.LiveRecord()
	standby := l.Slot(l.Staging())
	if !serving || standby.State != Idle || standby.Release == nil || standby.Record != live.Replaced {
		return Record{}, false
	}
	target, known := l.Record(standby.Record)
	return target, known && target.Status == StatusSuperseded
}

// WithSize returns the ledger with the size that env has now, if an autoscaler
// decides on it. An environment without any instance should have one.
func (l Ledger) WithSize(env Environment, replicas int) Ledger {
	if slot := l.Slot(env); slot.Release == nil || !slot.Release.Autoscaled {
		return l
	}
	return l.resized(env, max(replicas, 1), true)
}

// RolledBackFingerprint identifies the release that the rollback in force took out
// of service. It is "" where no rollback is in force.
func (l Ledger) RolledBackFingerprint() string {
	live, _ := l.LiveRecord()
	return live.RolledBackFingerprint
}

// MergeHistory joins the archived records with the ones in the ledger, newest
// first and kept to the limit. The ledger's own records are never dropped.
func (l Ledger) MergeHistory(archived []Record) []Record {
	byAge := func(a, b Record) int { return number(b.ID) - number(a.ID) }
	old := slices.Clone(archived)
	slices.SortFunc(old, byAge)
	if room := max(l.HistoryLimit-len(l.Records), 0); len(old) > room {
		old = old[:room]
	}
	all := append(old, l.Records...)
	slices.SortFunc(all, byAge)
	return all
}

// number is the N of a record's ID, 0 for an ID that has none.
func number(id string) int {
	_, digits, _ := strings.Cut(id, "-")
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return n
}
