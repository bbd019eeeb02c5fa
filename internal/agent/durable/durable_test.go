// SPDX-License-Identifier: MPL-2.0

//go:build unix

package durable_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
)

// A reader sees the former content or the new one, and never a part.
func TestFileIsEitherOldOrNew(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	contents := [][]byte{bytes.Repeat([]byte("a"), 1<<16), bytes.Repeat([]byte("b"), 1<<15)}
	if err := durable.WriteFile(path, contents[0]); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() {
		var err error
		for i := range 50 {
			err = errors.Join(err, durable.WriteFile(path, contents[(i+1)%2]))
		}
		written <- err
	}()
	for {
		read, err := durable.ReadFile(path)
		if err != nil || (!bytes.Equal(read, contents[0]) && !bytes.Equal(read, contents[1])) {
			t.Errorf("read %d bytes, %v", len(read), err)
		}
		select {
		case err := <-written:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
	}
}

func TestFailedWriteLeavesTheFormerFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := durable.WriteJSON(path, "number", 1); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteJSON(path, "number", func() {}); err == nil {
		t.Error("a function was written as JSON")
	}
	var number int
	if found, err := durable.ReadJSON(path, "number", &number); !found || err != nil || number != 1 {
		t.Errorf("read %d, found %t, %v", number, found, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the directory holds %v, %v", entries, err)
	}
}

func TestDamagedFileIsReportedAndKept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if found, err := durable.ReadJSON(path, "number", new(int)); found || err != nil {
		t.Errorf("without a file: %t, %v", found, err)
	}
	if err := durable.WriteFile(path, []byte(`{"to`)); err != nil {
		t.Fatal(err)
	}
	var unreadable *durable.UnreadableError
	if _, err := durable.ReadJSON(path, "number", new(int)); !errors.As(err, &unreadable) || unreadable.Path != path {
		t.Errorf("got %v", err)
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != `{"to` {
		t.Errorf("it holds %q, %v", content, err)
	}
}
