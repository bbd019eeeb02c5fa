// SPDX-License-Identifier: MPL-2.0

//go:build unix

package images

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Who owns the directory may replace a file after it was looked at: by a link, so that the agent
// would copy what only the agent may read, or by a pipe, which would hold the agent for ever.
func TestFileThatIsReplacedWhileItIsCopiedIsRefused(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "shadow")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, replace := range map[string]func(path string) error{
		"a link out":           func(path string) error { return os.Symlink(outside, path) },
		"a pipe":               func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a directory":          func(path string) error { return os.Mkdir(path, 0o700) },
		"a link to the parent": func(path string) error { return os.Symlink("..", path) },
	} {
		image, into := t.TempDir(), t.TempDir()
		if err := replace(filepath.Join(image, "run")); err != nil {
			t.Fatal(err)
		}
		from, err := os.OpenRoot(image)
		if err != nil {
			t.Fatal(err)
		}
		to, err := os.OpenRoot(into)
		if err != nil {
			t.Fatal(err)
		}
		c := newCopier(t.Context(), to, Image{Path: image}, directoryKind, defaultLimits)
		if err := c.fileIn(from, "run", "run", 6); err == nil {
			t.Errorf("%s is copied", what)
		}
		if left, err := os.ReadDir(into); err != nil || len(left) > 0 {
			t.Errorf("%s: the copy holds %v, %v", what, left, err)
		}
		if err := errors.Join(from.Close(), to.Close()); err != nil {
			t.Error(err)
		}
	}
}

// The image itself may be a pipe by the time it is copied.
func TestPipeInThePlaceOfAnImageIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "image.tar.gz")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, k := range []kind{fileKind, archiveKind} {
		if err := copyImage(t.Context(), t.TempDir(), Image{Path: path}, k, defaultLimits); err == nil {
			t.Errorf("as %s it is copied", k)
		}
	}
}
