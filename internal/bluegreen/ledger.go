// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"slices"
	"time"
)

// SchemaVersion is the version of the ledger's format that this engine writes.
// It reads every version from 1 up to this one. Version 2 added the origin of records
// and keeps the record of a release that was rolled back.
const SchemaVersion = 2

// Ledger is everything known about a deployment: who is live, what runs where,
// and the records that can still change. It is a value: transitions return a
// changed copy and never write through the original.
type Ledger struct {
	Schema int    `json:"schema"`
	Name   string `json:"name"`
	// Generation counts the commits. A plan is stale once it has changed.
	Generation uint64 `json:"generation"`
	// Live is the environment that traffic reaches. Until something has been live,
	// the environment that it names is not in the state Live, and nothing serves.
	Live  Environment `json:"live"`
	Blue  Slot        `json:"blue"`
	Green Slot        `json:"green"`
	// Sequence is the number of the newest record. It only grows.
	Sequence int `json:"sequence"`
	// HistoryLimit is how many records are kept, those in the ledger included.
	HistoryLimit int `json:"history_limit"`
	// Records are the ones that an environment refers to, oldest first. All others
	// are closed: they never change again and are in the archive.
	Records []Record `json:"records"`
	// Created is false from the first commit until an operation that deploys has
	// run to its end, watch included. Until then no Terraform state has the deployment.
	// The key in the JSON stays: earlier versions wrote it.
	Created bool `json:"settled"`
	// WatchDue is the ID of the live record whose watch after the switch has not
	// ended, or "".
	WatchDue string `json:"unwatched,omitempty"`
	// Destroying is set once the removal of the deployment has begun.
	Destroying bool `json:"destroying,omitempty"`
	// Key is the key of the fingerprints, "" if no release was deployed yet or the
	// platform does not have it. It is never encoded with the ledger.
	Key FingerprintKey `json:"-"`
}

// Slot is what the ledger knows of one environment.
type Slot struct {
	State State `json:"state"`
	// Release is nil in an empty environment. What it points at never changes.
	Release *Release `json:"release,omitempty"`
	// Record is the ID of the record that brought the release here.
	Record string `json:"record,omitempty"`
	// Checked is true once this very release passed its health check here.
	Checked bool `json:"checked,omitempty"`
	// WatchDue is set in a standby whose watch after its switch has not ended.
	WatchDue bool `json:"watch_due,omitempty"`
	// Passed are the instances that passed; see Traffic.CanReceiveTraffic.
	Passed     []InstanceRef `json:"passed,omitempty"`
	DeployedAt *time.Time    `json:"deployed_at,omitempty"`
}

// HasFingerprint reports whether the slot holds the release that is recorded with this
// fingerprint.
func (s Slot) HasFingerprint(fingerprint string) bool {
	return s.Release != nil && s.Release.Fingerprint == fingerprint
}

// Slot returns what the ledger knows of env.
func (l Ledger) Slot(env Environment) Slot {
	if env == Blue {
		return l.Blue
	}
	return l.Green
}

// HasRelease reports whether env holds release, which is not sealed.
func (l Ledger) HasRelease(env Environment, release Release) bool {
	recorded := l.Slot(env).Release
	return recorded != nil && release.HasFingerprint(recorded.Fingerprint, l.Key)
}

// HasKeyedFingerprint reports whether any fingerprint in the ledger was made with a key.
func (l Ledger) HasKeyedFingerprint() bool {
	return slices.ContainsFunc(l.Records, func(r Record) bool {
		return isKeyed(r.Fingerprint) || isKeyed(r.RolledBackFingerprint)
	})
}

// FingerprintOf returns the fingerprint of release, which is not sealed: the one in the
// ledger, or the one that it would get.
func (l Ledger) FingerprintOf(release Release) string {
	for _, env := range Environments() {
		if l.HasRelease(env, release) {
			return l.Slot(env).Release.Fingerprint
		}
	}
	return release.Seal(l.Key).Fingerprint
}

// withSlot returns the ledger with slot as what it knows of env.
func (l Ledger) withSlot(env Environment, slot Slot) Ledger {
	if env == Blue {
		l.Blue = slot
	} else {
		l.Green = slot
	}
	return l
}

// Staging returns the environment that has no traffic.
func (l Ledger) Staging() Environment { return l.Live.Other() }

// IsServing reports whether there is a live environment that traffic reaches.
func (l Ledger) IsServing() bool { return l.Slot(l.Live).State == Live }

// WithSize returns the ledger with replicas as the size of env if the release there
// is autoscaled, and unchanged otherwise. A size below 1 counts as 1.
func (l Ledger) WithSize(env Environment, replicas int) Ledger {
	if slot := l.Slot(env); slot.Release == nil || !slot.Release.Autoscaled {
		return l
	}
	return l.resize(env, max(replicas, 1), true)
}

// RolledBack returns the record of the release that was rolled back, if the live release
// came from a rollback. Without one it returns false.
func (l Ledger) RolledBack() (Record, bool) {
	live, _ := l.LiveRecord()
	if live.Operation != OpRollback {
		return Record{}, false
	}
	return l.Record(live.Replaced)
}

// requireNotRolledBack returns a *RolledBackError if release was taken out of service by a
// watch or an operator, and retry does not name the record of it.
//
// The hold ends when another release has been live.
func (l Ledger) requireNotRolledBack(release Release, retry string) error {
	rollback, _ := l.LiveRecord()
	if !l.isLiveARollbackOf(release) ||
		rollback.Origin == "" || rollback.Origin == FromConfiguration || retry == rollback.Replaced {
		return nil
	}
	return &RolledBackError{Record: rollback.Replaced, Rollback: rollback}
}

// isLiveARollbackOf reports whether the live release came from a rollback of release. If the
// key of the fingerprint is lost, the version decides, so that no hold is lost.
func (l Ledger) isLiveARollbackOf(release Release) bool {
	fingerprint := l.RolledBackFingerprint()
	if isKeyed(fingerprint) && l.Key == "" {
		rolledBack, _ := l.RolledBack()
		return rolledBack.Version == release.Version
	}
	return release.HasFingerprint(fingerprint, l.Key)
}

// RolledBackFingerprint returns the fingerprint of the release that was rolled back, if
// the live release came from a rollback, and "" otherwise.
func (l Ledger) RolledBackFingerprint() string {
	live, _ := l.LiveRecord()
	return live.RolledBackFingerprint
}
