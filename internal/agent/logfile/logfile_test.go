// SPDX-License-Identifier: MPL-2.0

package logfile

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Somebody else moves or removes the file. What is logged then is in a new one.
func TestFileIsMovedByOthers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "some.log")
	moved := path + ".1"
	log := New(path, 1, 1)
	log.interval = 0
	t.Cleanup(func() { must(t, log.Close()) })
	write := func(line string) {
		t.Helper()
		_, err := io.WriteString(log, line)
		must(t, err)
	}
	expect := func(path, want string) {
		t.Helper()
		if content, err := os.ReadFile(path); err != nil || string(content) != want {
			t.Errorf("%s has %q, %v, want %q", filepath.Base(path), content, err, want)
		}
	}
	write("one\n")
	write("two\n")
	must(t, os.Rename(path, moved))
	write("three\n")
	expect(moved, "one\ntwo\n")
	expect(path, "three\n")
	must(t, os.Remove(path))
	write("four\n")
	expect(path, "four\n")
	must(t, os.Rename(path, moved))
	must(t, os.WriteFile(path, nil, 0o600))
	write("five\n")
	expect(moved, "four\n")
	expect(path, "five\n")
}

// Somebody removes the directory. It is not made again for the log alone.
func TestDirectoryIsRemovedByOthers(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "logs")
	must(t, os.Mkdir(dir, 0o700))
	log := New(filepath.Join(dir, "some.log"), 1, 1)
	log.interval = 0
	t.Cleanup(func() { must(t, log.Close()) })
	for range 3 {
		_, err := io.WriteString(log, "line\n")
		must(t, err)
		must(t, os.RemoveAll(dir))
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the directory is there again: %v", err)
	}
}

// After Close the log goes on in the same file.
func TestWriteAfterClose(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "some.log")
	log := New(path, 1, 1)
	for range 2 {
		_, err := io.WriteString(log, "line\n")
		must(t, err)
		must(t, log.Close())
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "line\nline\n" {
		t.Errorf("the file has %q, %v", content, err)
	}
}

// Two processes write to the same log for a while when one takes over from the other: no line
// overwrites another one.
func TestTwoProcessesWriteToOneLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	one, other := New(path, 1, 1), New(path, 1, 1)
	t.Cleanup(func() {
		must(t, one.Close())
		must(t, other.Close())
	})
	for i, log := range []*File{one, other, one, other} {
		if _, err := fmt.Fprintln(log, "line", i); err != nil {
			t.Fatal(err)
		}
	}
	content, err := os.ReadFile(path)
	if want := "line 0\nline 1\nline 2\nline 3\n"; err != nil || string(content) != want {
		t.Errorf("the log is %q, %v", content, err)
	}
}
