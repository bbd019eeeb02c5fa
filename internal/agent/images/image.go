// SPDX-License-Identifier: MPL-2.0

package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Error is an image that cannot be deployed.
type Error struct {
	Path string
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("image %s: %v", e.Path, e.Err) }

func (e *Error) Unwrap() error { return e.Err }

// kind is what an image consists of.
type kind int

const (
	fileKind kind = iota
	directoryKind
	archiveKind
)

func (k kind) String() string {
	return [...]string{"a file", "a directory", "an archive"}[k]
}

// Image says which image is copied, and how.
type Image struct {
	// Path is an executable, another file, a directory or an archive.
	Path string
	// Command is what runs in it, if it is not an executable.
	Command []string
	// FollowsLinks says that links that lead out of a directory are replaced by what they lead to.
	FollowsLinks bool
}

// Check returns an *Error unless the image can be deployed. Without a command it must be an
// executable file. With a command it may be any file, a directory or a .tar.gz archive. Check reads
// the names in a directory and its links, and not the files; it does not open an archive.
func Check(ctx context.Context, image Image) error {
	k, err := kindOf(image.Path, image.Command)
	if err != nil || k != directoryKind {
		return err
	}
	if err := newCopier(ctx, nil, image, k, defaultLimits).checkTree(image.Path); err != nil {
		return &Error{image.Path, err}
	}
	return nil
}

func kindOf(path string, command []string) (kind, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, &Error{path, errors.New("it does not exist")}
	}
	if err != nil {
		return 0, &Error{path, err}
	}
	k, err := kindOfFile(path, info)
	switch {
	case err != nil:
		return 0, &Error{path, err}
	case len(command) > 0:
		return k, nil
	case k != fileKind:
		return 0, &Error{path, fmt.Errorf("it is %s, so command must say what to run in it", k)}
	case info.Mode()&0o111 == 0:
		return 0, &Error{path, errors.New("it is not executable, and there is no command that runs it")}
	default:
		return k, nil
	}
}

func kindOfFile(path string, info fs.FileInfo) (kind, error) {
	switch {
	case info.IsDir():
		return directoryKind, nil
	case !info.Mode().IsRegular():
		return 0, errors.New("it is neither a file nor a directory")
	case strings.HasSuffix(path, ".tar.gz"), strings.HasSuffix(path, ".tgz"):
		return archiveKind, nil
	default:
		return fileKind, nil
	}
}

// Argv returns the arguments that run a release whose image at path was copied to dir. The first
// word of command is looked for in the copy, then in PATH. If it is in the copy, its path is
// relative to that, so that it can be run in another one.
func Argv(dir, path string, command, args []string) ([]string, error) {
	if len(command) == 0 {
		return append([]string{filepath.Base(path)}, args...), nil
	}
	executable, err := LookUp(dir, command[0])
	if err != nil {
		return nil, &Error{path, err}
	}
	argv := append([]string{executable}, command[1:]...)
	return append(argv, args...), nil
}

// LookUp returns the path of the command called name: in the copy at dir, then in PATH. In the
// copy it is relative.
func LookUp(dir, name string) (string, error) {
	if filepath.IsAbs(name) {
		return name, nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	info, err := root.Stat(name)
	if err == nil && info.Mode().IsRegular() {
		if info.Mode()&0o111 == 0 {
			return "", fmt.Errorf("command %q is in the image, but not executable", name)
		}
		return filepath.Clean(name), nil
	}
	if !strings.ContainsRune(name, filepath.Separator) {
		if found, err := exec.LookPath(name); err == nil {
			return filepath.Abs(found)
		}
	}
	return "", fmt.Errorf("command %q is neither in the image nor in PATH", name)
}

// In returns argv with the path of the command in the directory dir, if it is relative.
func In(dir string, argv []string) []string {
	if filepath.IsAbs(argv[0]) {
		return argv
	}
	return append([]string{filepath.Join(dir, argv[0])}, argv[1:]...)
}
