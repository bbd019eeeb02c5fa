// SPDX-License-Identifier: MPL-2.0

package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// journal is a ledger file under test and the ledger that it should hold.
type journal struct {
	testing.TB
	file   *LedgerFile
	ledger bluegreen.Ledger
}

func newJournal(t testing.TB, historyLimit int) *journal {
	t.Helper()
	f, err := OpenLedgerFile(filepath.Join(t.TempDir(), "web"), "web")
	if err != nil {
		t.Fatal(err)
	}
	l := bluegreen.NewLedger("web")
	l.HistoryLimit = historyLimit
	return &journal{t, f, l}
}

// commit archives n more records.
func (j *journal) commit(n int) {
	j.Helper()
	var closed []bluegreen.Record
	for range n {
		j.ledger.Sequence++
		id := fmt.Sprintf("deploy-%d", j.ledger.Sequence)
		closed = append(closed, bluegreen.Record{ID: id, Status: bluegreen.StatusFailed})
	}
	j.ledger.Generation++
	if err := j.file.Commit(j.ledger, closed, Binding{}); err != nil {
		j.Fatal(err)
	}
}

// reopened is the file as the next agent finds it.
func (j *journal) reopened() *LedgerFile {
	j.Helper()
	f, err := OpenLedgerFile(j.file.dir, "web")
	if err != nil {
		j.Fatal(err)
	}
	return f
}

// checkHolds fails the test unless the newest records are archived, in order.
func (j *journal) checkHolds(f *LedgerFile, atLeast int) {
	j.Helper()
	records, err := f.History()
	if err != nil {
		j.Fatal(err)
	}
	if len(records) < atLeast {
		j.Fatalf("%d records are archived, want at least %d", len(records), atLeast)
	}
	for i, r := range records {
		if want := fmt.Sprintf("deploy-%d", j.ledger.Sequence-len(records)+1+i); r.ID != want {
			j.Fatalf("record %d of %d is %s, want %s", i+1, len(records), r.ID, want)
		}
	}
}

func (j *journal) archivePath() string {
	return filepath.Join(j.file.dir, j.file.current.Archive.File)
}

func TestArchiveKeepsTheNewestRecordsInOneFile(t *testing.T) {
	t.Parallel()
	const limit = 5
	j := newJournal(t, limit)
	for i := range 40 {
		j.commit(i % 3)
		j.checkHolds(j.file, min(limit, j.ledger.Sequence))
		j.checkHolds(j.reopened(), min(limit, j.ledger.Sequence))
		if n := j.file.current.Archive.Records; n > 2*limit {
			t.Fatalf("%d records are kept for a limit of %d", n, limit)
		}
	}
	files, err := filepath.Glob(filepath.Join(j.file.dir, "history-*"))
	if err != nil || len(files) != 1 {
		t.Errorf("the history is in %v, %v", files, err)
	}
}

// The agent was killed after the records were appended and before the ledger
// was renamed: they never happened.
func TestRecordsOfACommitThatNeverHappenedAreCut(t *testing.T) {
	t.Parallel()
	j := newJournal(t, 10)
	j.commit(2)
	file, err := os.OpenFile(j.archivePath(), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString(`{"id":"deploy-3","sta`); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	j.file = j.reopened()
	j.checkHolds(j.file, 2)
	j.commit(1)
	j.checkHolds(j.reopened(), 3)
}

// The agent was killed in the middle of a compaction.
func TestLeftoversOfACompactionAreRemoved(t *testing.T) {
	t.Parallel()
	j := newJournal(t, 10)
	j.commit(2)
	for _, name := range []string{"history-7.jsonl", ".ledger.json123"} {
		if err := os.WriteFile(filepath.Join(j.file.dir, name), []byte("garbage"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	j.checkHolds(j.reopened(), 2)
	entries, err := os.ReadDir(j.file.dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("left are %v, %v", entries, err)
	}
}

func TestDamagedArchiveIsRefusedByName(t *testing.T) {
	t.Parallel()
	for what, damage := range map[string]func(path string) error{
		"missing":   os.Remove,
		"shortened": func(path string) error { return os.Truncate(path, 10) },
		"overwritten": func(path string) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			return os.WriteFile(path, make([]byte, info.Size()), 0o600)
		},
	} {
		j := newJournal(t, 10)
		j.commit(3)
		if err := damage(j.archivePath()); err != nil {
			t.Fatal(err)
		}
		for who, read := range map[string]func() error{
			"an agent":        func() error { _, err := OpenLedgerFile(j.file.dir, "web"); return err },
			"without a agent": func() error { _, err := ReadHistory(j.file.dir, "web"); return err },
		} {
			var unreadable *durable.UnreadableError
			if err := read(); !errors.As(err, &unreadable) || unreadable.Path != j.archivePath() {
				t.Errorf("%s, %s: %v", what, who, err)
			}
		}
	}
}

// An archive whose name leads elsewhere is in a ledger that was edited by hand.
func TestArchiveStaysInItsDirectory(t *testing.T) {
	t.Parallel()
	j := newJournal(t, 10)
	j.commit(1)
	doc := j.file.current
	doc.Archive.File = "../history-1.jsonl"
	if err := doc.write(j.file.dir); err != nil {
		t.Fatal(err)
	}
	var unreadable *durable.UnreadableError
	if _, err := OpenLedgerFile(j.file.dir, "web"); !errors.As(err, &unreadable) {
		t.Errorf("got %v", err)
	}
}

func TestCommitOfAnotherGenerationChangesNothing(t *testing.T) {
	t.Parallel()
	j := newJournal(t, 10)
	j.commit(1)
	for _, generation := range []uint64{0, 1, 3} {
		stale := j.ledger
		stale.Generation = generation
		err := j.file.Commit(stale, []bluegreen.Record{{ID: "deploy-9"}}, Binding{})
		if !errors.Is(err, bluegreen.ErrStale) {
			t.Errorf("generation %d: %v", generation, err)
		}
	}
	j.checkHolds(j.reopened(), 1)
}

// BenchmarkCommit shows that a commit costs the same however long the history is.
func BenchmarkCommit(b *testing.B) {
	for _, records := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("records=%d", records), func(b *testing.B) {
			j := newJournal(b, 1_000_000)
			j.commit(records)
			for b.Loop() {
				j.commit(1)
			}
		})
	}
}
