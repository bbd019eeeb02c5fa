// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ImageError is an image that cannot be deployed.
type ImageError struct {
	Path string
	Err  error
}

func (e *ImageError) Error() string { return fmt.Sprintf("image %s: %v", e.Path, e.Err) }

func (e *ImageError) Unwrap() error { return e.Err }

// imageKind is what an image consists of.
type imageKind int

const (
	fileImage imageKind = iota
	directoryImage
	archiveImage
)

func (k imageKind) String() string {
	return [...]string{"a file", "a directory", "an archive"}[k]
}

// CheckImage returns an *ImageError unless path can be deployed with command, as
// far as that shows without opening it: an executable file, or any file, a
// directory or a .tar.gz archive together with a command.
func CheckImage(path string, command []string) error {
	_, err := kindOf(path, command)
	return err
}

func kindOf(path string, command []string) (imageKind, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, &ImageError{path, errors.New("it does not exist")}
	}
	if err != nil {
		return 0, &ImageError{path, err}
	}
	kind, err := kindOfFile(path, info)
	switch {
	case err != nil:
		return 0, &ImageError{path, err}
	case len(command) > 0:
		return kind, nil
	case kind != fileImage:
		return 0, &ImageError{path, fmt.Errorf("it is %s, so command must say what to run in it", kind)}
	case info.Mode()&0o111 == 0:
		return 0, &ImageError{path, errors.New("it is not executable, and there is no command that runs it")}
	default:
		return kind, nil
	}
}

func kindOfFile(path string, info fs.FileInfo) (imageKind, error) {
	switch {
	case info.IsDir():
		return directoryImage, nil
	case !info.Mode().IsRegular():
		return 0, errors.New("it is neither a file nor a directory")
	case strings.HasSuffix(path, ".tar.gz"), strings.HasSuffix(path, ".tgz"):
		return archiveImage, nil
	default:
		return fileImage, nil
	}
}

// program returns the arguments that run a release whose image at path was
// copied to dir. The first word of command is looked for in the copy, then in PATH.
func program(dir, path string, command, args []string) ([]string, error) {
	if len(command) == 0 {
		return append([]string{filepath.Join(dir, filepath.Base(path))}, args...), nil
	}
	executable, err := lookUp(dir, command[0])
	if err != nil {
		return nil, &ImageError{path, err}
	}
	argv := append([]string{executable}, command[1:]...)
	return append(argv, args...), nil
}

func lookUp(dir, name string) (string, error) {
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
		return filepath.Join(dir, name), nil
	}
	if !strings.ContainsRune(name, filepath.Separator) {
		if found, err := exec.LookPath(name); err == nil {
			return filepath.Abs(found)
		}
	}
	return "", fmt.Errorf("command %q is neither in the image nor in PATH", name)
}
