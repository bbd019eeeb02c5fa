// SPDX-License-Identifier: MPL-2.0

package unit

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// checksumLine begins the first line of a unit that Install has written.
const checksumLine = "# Written by `terraform-provider-bluegreen agent install`. Checksum of what follows: "

// ErrEdited is returned for a unit that somebody else has written or edited.
var ErrEdited = errors.New("somebody has written or edited this unit")

// Install writes a unit to a file that all may read. It replaces one that it has written itself;
// for another one it returns ErrEdited, unless force is true.
func Install(path, unit string, force bool) error {
	present, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil && !force && !isUnedited(string(present)) {
		return fmt.Errorf("%s: %w", path, ErrEdited)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	// systemd does not read a file with this name.
	next := path + ".new"
	if err := os.WriteFile(next, []byte(checksumLine+checksum(unit)+"\n"+unit), 0o644); err != nil {
		return err
	}
	// The umask may have taken permissions away.
	if err := os.Chmod(next, 0o644); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// isUnedited reports whether a file is as Install has written it.
func isUnedited(file string) bool {
	first, rest, _ := strings.Cut(file, "\n")
	return first == checksumLine+checksum(rest)
}

func checksum(unit string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(unit))) }
