// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// documentSchema is the version of ledger.json that this agent writes. It reads
// every version up to this one.
const documentSchema = 1

// ledgerFile holds a document.
const ledgerFile = "ledger.json"

// document is everything durable about a deployment but its history, in one
// file, so that one rename changes it all.
type document struct {
	Schema   int              `json:"schema"`
	Ledger   bluegreen.Ledger `json:"ledger"`
	Frontend binding          `json:"frontend"`
	Archive  archive          `json:"archive"`
}

// UnreadableError is a file of a deployment that is torn, foreign or newer than
// this program. It is never guessed what it may have said.
type UnreadableError struct {
	Path string
	Err  error
}

func (e *UnreadableError) Error() string { return fmt.Sprintf("%s cannot be used: %v", e.Path, e.Err) }

func (e *UnreadableError) Unwrap() error { return e.Err }

// readDocument reads the document of the deployment called name in dir. It
// returns bluegreen.ErrNotFound where there is none.
func readDocument(dir, name string) (document, error) {
	path := filepath.Join(dir, ledgerFile)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return document{}, bluegreen.ErrNotFound
	}
	if err != nil {
		return document{}, &UnreadableError{path, err}
	}
	doc, err := decodeDocument(content, name)
	if err != nil {
		return document{}, &UnreadableError{path, err}
	}
	return doc, nil
}

func decodeDocument(content []byte, name string) (document, error) {
	var doc document
	decoder := json.NewDecoder(bytes.NewReader(content))
	if err := decoder.Decode(&doc); err != nil {
		return document{}, fmt.Errorf("it is torn, or no ledger: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return document{}, errors.New("it is torn, or no ledger: something follows the document")
	}
	switch {
	case doc.Schema < 1:
		return document{}, errors.New("it is no ledger: it has no schema version")
	case doc.Schema > documentSchema:
		return document{}, fmt.Errorf("its schema version %d is newer than this program's %d", doc.Schema, documentSchema)
	case doc.Ledger.Name != name:
		return document{}, fmt.Errorf("it is the ledger of another deployment, %q", doc.Ledger.Name)
	}
	if err := doc.Ledger.Validate(); err != nil {
		return document{}, err
	}
	return doc, doc.Archive.validate()
}

// write replaces the document in dir, durably and in one step.
func (d document) write(dir string) error {
	content, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the ledger: %w", err)
	}
	return writeFile(filepath.Join(dir, ledgerFile), content)
}
