// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// LedgerFile keeps the ledger of one deployment, and its archive. Its methods are
// not for concurrent use.
type LedgerFile struct {
	dir, name string
	// current is what is in the file; its generation is 0 while there is none.
	current Document
}

// OpenLedgerFile reads what is stored for name in dir, and removes what an
// interrupted commit left. It is not an error if there is no deployment.
func OpenLedgerFile(dir, name string) (*LedgerFile, error) {
	f := &LedgerFile{dir: dir, name: name}
	if err := f.reload(); err != nil {
		return nil, err
	}
	return f, f.removeLeftovers()
}

func (f *LedgerFile) reload() error {
	doc, err := ReadDocument(f.dir, f.name)
	if errors.Is(err, bluegreen.ErrNotFound) {
		f.current = Document{}
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := doc.Archive.read(f.dir); err != nil {
		return err
	}
	f.current = doc
	return nil
}

// HasLedger reports whether there has been a first commit.
func (f *LedgerFile) HasLedger() bool { return f.current.Ledger.Generation > 0 }

// Current is what the file holds. Its ledger's generation is 0 while there is none.
func (f *LedgerFile) Current() Document { return f.current }

// Commit makes next the ledger, archives closed, and notes where the deployment
// is reached. It returns bluegreen.ErrStale unless next follows the stored ledger.
// After another error the commit may have happened: Current says whether it has.
func (f *LedgerFile) Commit(next bluegreen.Ledger, closed []bluegreen.Record, front Binding) error {
	if err := f.Check(next); err != nil {
		return err
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return fmt.Errorf("creating the deployment's directory: %w", err)
	}
	former := f.current.Archive
	extended, err := former.extend(f.dir, closed, next.HistoryLimit)
	if err != nil {
		return err
	}
	doc := Document{Schema, next, front, extended}
	if err := doc.write(f.dir); err != nil {
		// The rename may have happened before the error: what counts is in the file.
		return errors.Join(err, f.reload())
	}
	f.current = doc
	if former.File != "" && former.File != extended.File {
		// A file that stays behind is removed when the ledger is opened again.
		_ = os.Remove(filepath.Join(f.dir, former.File))
	}
	return nil
}

// Check returns an error unless next is the ledger of the deployment and follows
// the stored one.
func (f *LedgerFile) Check(next bluegreen.Ledger) error {
	if next.Name != f.name {
		return fmt.Errorf("the ledger of %q cannot be committed to %q", next.Name, f.name)
	}
	if have := f.current.Ledger.Generation; next.Generation != have+1 {
		return fmt.Errorf("%w: generation %d cannot follow %d", bluegreen.ErrStale, next.Generation, have)
	}
	return nil
}

// History returns the archived records, oldest first.
func (f *LedgerFile) History() ([]bluegreen.Record, error) {
	if !f.HasLedger() {
		return nil, bluegreen.ErrNotFound
	}
	return f.current.Archive.read(f.dir)
}

// Erase removes the deployment. The ledger goes first: without it there is no
// deployment, even if other files are left because ctx has ended.
func (f *LedgerFile) Erase(ctx context.Context) error {
	f.current = Document{}
	if err := os.Remove(filepath.Join(f.dir, documentName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("erasing the ledger: %w", err)
	}
	if err := durable.SyncDir(f.dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("erasing the ledger: %w", err)
	}
	if err := durable.RemoveTree(ctx, f.dir); err != nil {
		return fmt.Errorf("erasing the deployment: %w", err)
	}
	return nil
}

// removeLeftovers removes what an agent that was killed in the middle of a commit left.
func (f *LedgerFile) removeLeftovers() error {
	entries, err := os.ReadDir(f.dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		name := entry.Name()
		isOrphan := archiveName.MatchString(name) && name != f.current.Archive.File
		if isOrphan || strings.HasPrefix(name, "."+documentName) {
			if err := os.Remove(filepath.Join(f.dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}
