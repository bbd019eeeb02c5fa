// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const examplesDir = "../../examples"

// TestExamples validates every Terraform file in examples/ against the schema:
// those that stand alone one by one, the others with their directory.
func TestExamples(t *testing.T) {
	alone := map[string]bool{"provider": true, "resources": true, "data-sources": true}
	directories := map[string]bool{}
	err := filepath.WalkDir(examplesDir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".tf" {
			return err
		}
		relative, err := filepath.Rel(examplesDir, path)
		if err != nil {
			return err
		}
		topic, _, _ := strings.Cut(relative, string(filepath.Separator))
		if !alone[topic] {
			directories[filepath.Dir(relative)] = true
			return nil
		}
		t.Run(relative, func(t *testing.T) {
			t.Parallel()
			files := []string{path}
			if strings.HasPrefix(entry.Name(), "import-by-") {
				// What is imported has to be configured.
				files = append(files, filepath.Join(filepath.Dir(path), "resource.tf"))
			}
			validateSnippets(t, files)
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(directories) < 3 {
		t.Errorf("only the examples %v were found", directories)
	}
	for directory := range directories {
		t.Run(directory, func(t *testing.T) {
			t.Parallel()
			copied := filepath.Join(t.TempDir(), "examples")
			// The whole tree, because an example may use a module of another directory.
			if err := os.CopyFS(copied, os.DirFS(examplesDir)); err != nil {
				t.Fatal(err)
			}
			validate(t, filepath.Join(copied, directory))
		})
	}
}

func validateSnippets(t *testing.T, files []string) {
	t.Helper()
	dir := t.TempDir()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "required_providers") {
			text = append([]byte(requiredProvider(filepath.Base(file))), text...)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	validate(t, dir)
}

// requiredProvider names the provider once in a configuration of several files.
func requiredProvider(file string) string {
	if strings.HasPrefix(file, "import-by-") {
		return ""
	}
	return required
}

func validate(t *testing.T, dir string) {
	t.Helper()
	config, err := mirrored()
	if err != nil {
		t.Fatal(err)
	}
	c := &cli{h: &harness{t: t}, dir: dir, env: append(os.Environ(), "TF_CLI_CONFIG_FILE="+config)}
	c.must("init", "-backend=false")
	c.must("validate")
}
