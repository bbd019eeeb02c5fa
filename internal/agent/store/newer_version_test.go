// SPDX-License-Identifier: MPL-2.0

package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process"
)

// A file that a newer version wrote is refused by name, whatever it looks like. It is not called
// damaged, and nobody is told to remove it.
func TestFilesOfANewerVersionAreRefusedByName(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]func(dir string) error{
		documentName:   func(dir string) error { _, err := ReadDocument(dir, "web"); return err },
		workloadName:   func(dir string) error { _, err := ReadWorkload(dir); return err },
		externalName:   func(dir string) error { _, err := ReadExternalReplicas(dir); return err },
		upkeepName:     func(dir string) error { _, err := OpenUpkeepFile(dir); return err },
		verdictsName:   func(dir string) error { _, err := ReadVerdicts(dir); return err },
		"process.json": func(dir string) error { _, err := process.ReadState(dir); return err },
		keyName:        func(dir string) error { _, err := OpenKeyFile(dir).Key(); return err },
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		content := []byte(`{
			"schema": 3, "ledger": [], "argv": {}, "targets": 1, "releases": 1, "verdicts": 1, "key": [], "port": "any"
		}`)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		err := read(dir)
		var unreadable *durable.UnreadableError
		if _, isNewer := errors.AsType[*durable.NewerError](err); !isNewer || !errors.As(err, &unreadable) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		const want = "it was written by a newer version of the provider (schema 3; this one reads up to 1)"
		if unreadable.Path != path || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "Remove") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
