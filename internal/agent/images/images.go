// SPDX-License-Identifier: MPL-2.0

package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
)

// Store holds the copies of one agent, by digest.
type Store struct {
	dir    string
	limits limits

	mu sync.Mutex
	// retained counts the deploys that have acquired a copy and whose workload does
	// not refer to it yet.
	retained map[string]int
}

// importPrefix begins the name of a copy that is not complete.
const importPrefix = ".import-"

// Open returns the store at dir, and removes the copies that an agent that was
// killed did not complete.
func Open(dir string) (*Store, error) {
	incomplete, err := filepath.Glob(filepath.Join(dir, importPrefix+"*"))
	if err != nil {
		return nil, err
	}
	for _, path := range incomplete {
		if err := os.RemoveAll(path); err != nil {
			return nil, fmt.Errorf("removing an incomplete copy of an image: %w", err)
		}
	}
	return &Store{dir: dir, limits: defaultLimits, retained: map[string]int{}}, nil
}

// Path is where the copy with this digest is.
func (s *Store) Path(digest string) string {
	return filepath.Join(s.dir, strings.Replace(digest, ":", "-", 1))
}

// Acquire copies the image at path and returns its digest, "sha256:…". If a digest is
// given and there is a copy with it, Acquire returns that copy. If there is none, the
// image at path must still have this digest. The copy stays at least until release is
// called.
func (s *Store) Acquire(
	ctx context.Context, path string, command []string, digest string,
) (_ string, release func(), err error) {
	if digest != "" && s.retain(digest) {
		return digest, func() { s.release(digest) }, nil
	}
	k, err := kindOf(path, command)
	if err != nil {
		return "", nil, err
	}
	found, err := s.copyIn(ctx, path, k)
	if err != nil {
		return "", nil, err
	}
	release = func() { s.release(found) }
	if digest != "" && found != digest {
		release()
		err := fmt.Errorf("it has changed since it was deployed: it was %s and is %s", digest, found)
		return "", nil, &Error{path, err}
	}
	return found, release, nil
}

// retain keeps the copy with this digest until release is called, and reports whether
// there is one.
func (s *Store) retain(digest string) (found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if info, err := os.Stat(s.Path(digest)); err != nil || !info.IsDir() {
		return false
	}
	s.retained[digest]++
	return true
}

func (s *Store) release(digest string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retained[digest]--; s.retained[digest] == 0 {
		delete(s.retained, digest)
	}
}

// copyIn copies the image to a temporary directory, and moves it to where its digest says. The
// copy is retained.
func (s *Store) copyIn(ctx context.Context, path string, k kind) (string, error) {
	temporary, err := os.MkdirTemp(s.dir, importPrefix)
	if err != nil {
		return "", fmt.Errorf("copying the image: %w", err)
	}
	// If this fails, the directory is removed when the agent starts again.
	defer func() { _ = os.RemoveAll(temporary) }()
	if err := copyImage(ctx, temporary, path, k, s.limits); err != nil {
		return "", &Error{Path: path, Err: err}
	}
	digest, err := digestOf(temporary)
	if err != nil {
		return "", &Error{Path: path, Err: err}
	}
	if s.retain(digest) {
		return digest, nil
	}
	if err := durable.SyncTree(temporary); err != nil {
		return "", fmt.Errorf("copying the image: %w", err)
	}
	if err := s.place(temporary, digest); err != nil {
		return "", fmt.Errorf("copying the image: %w", err)
	}
	return digest, nil
}

func (s *Store) place(temporary, digest string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Another deploy may have placed the same content meanwhile.
	if err := os.Rename(temporary, s.Path(digest)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	s.retained[digest]++
	return durable.SyncDir(s.dir)
}

// Collect removes the copies that are neither retained nor among those that inUse
// returns. If inUse returns an error, nothing is removed.
func (s *Store) Collect(inUse func() (map[string]bool, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	used, err := inUse()
	if err != nil {
		return fmt.Errorf("finding the images in use: %w", err)
	}
	for digest := range s.retained {
		used[digest] = true
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("removing images: %w", err)
	}
	for _, entry := range entries {
		name, isCopy := strings.CutPrefix(entry.Name(), "sha256-")
		if !isCopy || used["sha256:"+name] {
			continue
		}
		if err := os.RemoveAll(filepath.Join(s.dir, entry.Name())); err != nil {
			return fmt.Errorf("removing an image: %w", err)
		}
	}
	return nil
}

// digestOf returns the digest of everything under dir: paths in lexical order, modes,
// and content. A directory and an archive of it have the same digest.
func digestOf(dir string) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	sum := sha256.New()
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		content, err := contentOf(root, name, info)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(sum, "%q %v %x\n", name, info.Mode()&(fs.ModeType|fs.ModePerm), content)
		return err
	})
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), err
}

func contentOf(root *os.Root, name string, info fs.FileInfo) ([]byte, error) {
	switch {
	case info.IsDir():
		return nil, nil
	case info.Mode().Type() == fs.ModeSymlink:
		target, err := root.Readlink(name)
		return []byte(target), err
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	sum := sha256.New()
	_, err = io.Copy(sum, file)
	return sum.Sum(nil), err
}
