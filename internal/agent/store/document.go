// SPDX-License-Identifier: MPL-2.0

package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Schema is the version of the files that this agent writes.
const Schema = durable.Schema

// documentName is the file that holds a document.
const documentName = "ledger.json"

// Document is everything durable about a deployment but its history, in one
// file, so that one rename changes it all.
type Document struct {
	Schema   int              `json:"schema"`
	Ledger   bluegreen.Ledger `json:"ledger"`
	Frontend Binding          `json:"frontend"`
	Archive  archive          `json:"archive"`
}

// ReadDocument reads the document of the deployment called name in dir. It
// returns bluegreen.ErrNotFound if there is none.
func ReadDocument(dir, name string) (Document, error) {
	path := filepath.Join(dir, documentName)
	content, err := durable.ReadFile(path)
	if err != nil {
		return Document{}, err
	}
	if content == nil {
		return Document{}, bluegreen.ErrNotFound
	}
	doc, err := decodeDocument(content, name)
	if err != nil {
		return Document{}, &durable.UnreadableError{Path: path, Err: err}
	}
	return doc, nil
}

func decodeDocument(content []byte, name string) (Document, error) {
	if err := durable.CheckSchema(content); err != nil {
		return Document{}, err
	}
	var doc Document
	decoder := json.NewDecoder(bytes.NewReader(content))
	if err := decoder.Decode(&doc); err != nil {
		return Document{}, fmt.Errorf("it is damaged or not a ledger: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Document{}, errors.New("it is damaged or not a ledger: there is data after the document")
	}
	switch {
	case doc.Schema < 1:
		return Document{}, errors.New("it is not a ledger: it has no schema version")
	case doc.Ledger.Name != name:
		return Document{}, fmt.Errorf("it is the ledger of another deployment, %q", doc.Ledger.Name)
	}
	if err := doc.Ledger.Validate(); err != nil {
		return Document{}, err
	}
	return doc, doc.Archive.validate()
}

// write replaces the document in dir, durably and in one step.
func (d Document) write(dir string) error {
	return durable.WriteJSON(filepath.Join(dir, documentName), "ledger", d)
}
