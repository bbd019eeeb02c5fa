// SPDX-License-Identifier: MPL-2.0

// Package build tells which build of the program this process runs, so that the provider knows
// whether an agent that has run for months is older than itself.
package build

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"runtime"
	"sync"

	"golang.org/x/mod/semver"
)

// Version is the version of the program. Main sets it.
var Version = "dev"

// headBytes is the part of an executable that has the ID of its build: Go puts the ID near the
// beginning, whatever the format of the file.
const headBytes = 64 << 10

// ID identifies the build of this program, "" if it cannot be read. Builds without a version
// differ in it.
var ID = sync.OnceValue(func() string {
	path, err := os.Executable()
	if runtime.GOOS == "linux" {
		// It leads to this build even if another one has been installed at the path.
		path, err = "/proc/self/exe", nil
	}
	if err != nil {
		return ""
	}
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	head := make([]byte, headBytes)
	n, err := io.ReadFull(file, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return ""
	}
	sum := sha256.Sum256(head[:n])
	return hex.EncodeToString(sum[:8])
})

// Age says how another build relates to this one.
type Age int

// The ages.
const (
	Same Age = iota
	Older
	Newer
)

// AgeOf returns the age of a build with this version and ID. One that tells no version is of a
// time before there was one. One without a number, of a developer, is older if it is another one.
func AgeOf(version, id string) Age {
	this, other := "v"+Version, "v"+version
	switch {
	case !semver.IsValid(this) || !semver.IsValid(other):
		if version == Version && (id == ID() || id == "" || ID() == "") {
			return Same
		}
		return Older
	case semver.Compare(other, this) < 0:
		return Older
	case semver.Compare(other, this) > 0:
		return Newer
	default:
		return Same
	}
}
