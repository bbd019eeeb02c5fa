// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// store keeps the document of one deployment. Its methods are not for concurrent use.
type store struct {
	dir, name string
	// current is what is in the file; its generation is 0 while there is none.
	current document
}

// openStore reads what is stored for name in dir. No deployment is no error.
func openStore(dir, name string) (*store, error) {
	s := &store{dir: dir, name: name}
	if err := s.reload(); err != nil {
		return nil, err
	}
	return s, s.sweep()
}

func (s *store) reload() error {
	doc, err := readDocument(s.dir, s.name)
	if errors.Is(err, bluegreen.ErrNotFound) {
		s.current = document{}
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := doc.Archive.read(s.dir); err != nil {
		return err
	}
	s.current = doc
	return nil
}

// exists reports whether there has been a first commit.
func (s *store) exists() bool { return s.current.Ledger.Generation > 0 }

// commit makes next the ledger, archives closed, and notes where the deployment
// is reached. It returns bluegreen.ErrStale unless next follows the stored ledger.
func (s *store) commit(next bluegreen.Ledger, closed []bluegreen.Record, front binding) error {
	if err := s.check(next); err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("making the deployment's directory: %w", err)
	}
	former := s.current.Archive
	extended, err := former.extend(s.dir, closed, next.HistoryLimit)
	if err != nil {
		return err
	}
	doc := document{documentSchema, next, front, extended}
	if err := doc.write(s.dir); err != nil {
		// The rename may have happened before the error: what counts is in the file.
		return errors.Join(err, s.reload())
	}
	s.current = doc
	if former.File != "" && former.File != extended.File {
		// A file that stays behind is swept up when the store is opened again.
		_ = os.Remove(filepath.Join(s.dir, former.File))
	}
	return nil
}

func (s *store) check(next bluegreen.Ledger) error {
	if next.Name != s.name {
		return fmt.Errorf("the ledger of %q cannot be committed to %q", next.Name, s.name)
	}
	if have := s.current.Ledger.Generation; next.Generation != have+1 {
		return fmt.Errorf("%w: generation %d cannot follow %d", bluegreen.ErrStale, next.Generation, have)
	}
	return nil
}

// history returns the archived records, oldest first.
func (s *store) history() ([]bluegreen.Record, error) {
	if !s.exists() {
		return nil, bluegreen.ErrNotFound
	}
	return s.current.Archive.read(s.dir)
}

// erase forgets the deployment. The ledger goes first: without it there is no
// deployment, whatever else is left.
func (s *store) erase() error {
	s.current = document{}
	if err := os.Remove(filepath.Join(s.dir, ledgerFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("erasing the ledger: %w", err)
	}
	if err := syncDir(s.dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("erasing the ledger: %w", err)
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("erasing the deployment: %w", err)
	}
	return nil
}

// sweep removes what an agent that was killed in the middle of a commit left.
func (s *store) sweep() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		name := entry.Name()
		orphan := archiveName.MatchString(name) && name != s.current.Archive.File
		if orphan || strings.HasPrefix(name, "."+ledgerFile) {
			if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}
