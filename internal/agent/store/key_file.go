// SPDX-License-Identifier: MPL-2.0

package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// keyName is the file that holds the key of the fingerprints in a deployment's ledger. It is
// apart from the ledger, because who has both can guess short values of environment variables.
const keyName = "fingerprint-key.json"

// KeyFile keeps the key of one deployment.
type KeyFile struct {
	dir string
	key bluegreen.FingerprintKey
	// newer is a *durable.NewerError. Traffic does not need the key, so that only what needs it fails.
	newer error
	// damage says why the key is lost, nil if it is not.
	damage error
}

// keyContent is what the file holds.
type keyContent struct {
	Schema int                      `json:"schema"`
	Key    bluegreen.FingerprintKey `json:"key"`
}

// OpenKeyFile reads the key of the deployment in dir.
func OpenKeyFile(dir string) *KeyFile {
	f := &KeyFile{dir: dir}
	var content keyContent
	path := filepath.Join(dir, keyName)
	found, err := durable.ReadJSON(path, "key", &content)
	if err == nil && found && (content.Schema != Schema || content.Key == "") {
		err = &durable.UnreadableError{
			Path: path, Err: fmt.Errorf("it is not a valid key (schema version %d)", content.Schema),
		}
	}
	if _, isNewer := errors.AsType[*durable.NewerError](err); isNewer {
		f.newer = err
		return f
	}
	if err != nil {
		f.damage = fmt.Errorf("%w. The next apply stores the key of the Terraform state there", err)
		return f
	}
	f.key = content.Key
	return f
}

// Damage says why the key is lost, and what brings it back; nil if it is not lost.
func (f *KeyFile) Damage() error { return f.damage }

// Key returns the key, "" if there is none or it is lost: the Terraform state has it too.
func (f *KeyFile) Key() (bluegreen.FingerprintKey, error) { return f.key, f.newer }

// Commit stores key. If it is "", as from a client of an earlier version, the stored one stays.
func (f *KeyFile) Commit(key bluegreen.FingerprintKey) error {
	if f.newer != nil {
		return f.newer
	}
	if key == "" || key == f.key {
		return nil
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return fmt.Errorf("creating the deployment's directory: %w", err)
	}
	if err := durable.WriteJSON(filepath.Join(f.dir, keyName), "key", keyContent{Schema, key}); err != nil {
		return err
	}
	f.key, f.damage = key, nil
	return nil
}
