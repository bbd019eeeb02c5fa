// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// LiveRecord returns the record of the live release, or false if nothing is live.
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

// MergeHistory returns the archived records together with those in the ledger,
// newest first and at most HistoryLimit. The ledger's own records are never dropped.
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

// number returns the N of a record's ID, 0 for an ID that has none.
func number(id string) int {
	_, digits, _ := strings.Cut(id, "-")
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return n
}

// withNextNumber returns the ledger with the next number taken, and a record in progress
// of that number. The record is not in the ledger yet.
func (l Ledger) withNextNumber(op Operation, env Environment, release Release, by stamp) (Ledger, Record) {
	l.Sequence++
	return l, Record{
		ID: fmt.Sprintf("%s-%d", op, l.Sequence), Operation: op, Environment: env,
		Version: release.Version, Image: release.Image, ImageDigest: release.ImageDigest,
		Replicas: release.Replicas, Fingerprint: release.Fingerprint,
		DeployedAt: by.at, Status: StatusInProgress, Actor: by.actor, Origin: by.origin,
	}
}

// withRecord replaces the record with the same ID, or adds record at the end.
func (l Ledger) withRecord(record Record) Ledger {
	l.Records = slices.Clone(l.Records)
	i := slices.IndexFunc(l.Records, func(r Record) bool { return r.ID == record.ID })
	if i < 0 {
		l.Records = append(l.Records, record)
	} else {
		l.Records[i] = record
	}
	return l
}

// closeUnfinished marks a record as failed if it was still on its way to become live.
func (l Ledger) closeUnfinished(id, reason string) Ledger {
	record, ok := l.Record(id)
	if !ok || (record.Status != StatusInProgress && record.Status != StatusReady) {
		return l
	}
	record.Status, record.Reason = StatusFailed, reason
	return l.withRecord(record)
}

// archive separates the records that nothing refers to any more: no environment, and
// no rollback that is in force. They are closed and never change again.
func (l Ledger) archive() (Ledger, []Record) {
	rolledBack, _ := l.RolledBack()
	var open, closed []Record
	for _, r := range l.Records {
		if r.ID == l.Blue.Record || r.ID == l.Green.Record || r.ID == rolledBack.ID {
			open = append(open, r)
		} else {
			closed = append(closed, r.withoutInstances())
		}
	}
	l.Records = open
	return l, closed
}

// clean returns the ledger with the reasons and causes in its records masked and made
// valid UTF-8. mask may be nil. Invalid bytes would be replaced when the ledger is stored.
func (l Ledger) clean(mask func(string) string) Ledger {
	cleaned := func(text string) string {
		if mask != nil {
			text = mask(text)
		}
		return strings.ToValidUTF8(text, "\uFFFD")
	}
	l.Records = slices.Clone(l.Records)
	for i := range l.Records {
		record := &l.Records[i]
		record.Reason = cleaned(record.Reason)
		if record.Health == nil || len(record.Health.Causes) == 0 {
			continue
		}
		health := *record.Health
		health.Causes = maps.Clone(health.Causes)
		for check, cause := range health.Causes {
			health.Causes[check] = cleaned(cause)
		}
		record.Health = &health
	}
	return l
}
