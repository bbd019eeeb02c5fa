// SPDX-License-Identifier: MPL-2.0

package images

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

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
	// complete are the directories of replicas that are complete and have no mark yet, and whether
	// they are being written to the disk.
	complete map[string]bool
	syncs    sync.WaitGroup
}

const (
	// importPrefix begins the name of a copy that is not complete.
	importPrefix = ".import-"
	// removedPrefix begins the name of a copy that nothing is made from any more.
	removedPrefix = ".removed-"
	// copyPrefix begins the name of a copy. The digest follows.
	copyPrefix = "sha256-"
	// listingSuffix ends the name of the listing of a copy.
	listingSuffix = ".list"
)

// Open returns the store at dir, and removes the copies that an agent that was killed did not
// complete or remove. What cannot be removed stays until the next time, and log says so.
func Open(dir string, log *slog.Logger) (*Store, error) {
	for _, prefix := range []string{importPrefix, removedPrefix} {
		left, err := filepath.Glob(filepath.Join(dir, prefix+"*"))
		if err != nil {
			return nil, err
		}
		for _, path := range left {
			if err := durable.RemoveTree(context.Background(), path); err != nil {
				log.Warn("what is left of a copy of an image cannot be removed", "error", err)
			}
		}
	}
	return &Store{dir: dir, limits: defaultLimits, retained: map[string]int{}, complete: map[string]bool{}}, nil
}

// Path is where the copy with this digest is.
func (s *Store) Path(digest string) string {
	return filepath.Join(s.dir, strings.Replace(digest, ":", "-", 1))
}

func (s *Store) listingPath(digest string) string { return s.Path(digest) + listingSuffix }

// Acquire copies the image and returns its digest, "sha256:…". If a digest is given and there is a
// copy with it that has not changed since, Acquire returns that copy. If there is none, the image
// must still have this digest. The copy stays at least until release is called.
func (s *Store) Acquire(ctx context.Context, image Image, digest string) (_ string, release func(), err error) {
	var changed *ChangedError
	if digest != "" && s.retain(digest) {
		if err = s.verify(ctx, digest); err == nil {
			return digest, func() { s.release(digest) }, nil
		}
		s.release(digest)
		if !errors.As(err, &changed) {
			return "", nil, err
		}
	}
	found, release, err := s.copyIn(ctx, image)
	if err == nil && digest != "" && found != digest {
		release()
		err = &Error{image.Path, fmt.Errorf("it has changed since it was deployed: it was %s and is %s", digest, found)}
	}
	if err != nil && changed != nil {
		err = fmt.Errorf("%w. It cannot be made again: %w", changed, err)
	}
	if err != nil {
		return "", nil, err
	}
	return found, release, nil
}

// copyIn copies the image and returns its digest. The copy is retained until release is called.
func (s *Store) copyIn(ctx context.Context, image Image) (digest string, release func(), err error) {
	k, err := kindOf(image.Path, image.Command)
	if err != nil {
		return "", nil, err
	}
	if digest, err = s.add(ctx, image, k); err != nil {
		return "", nil, err
	}
	return digest, func() { s.release(digest) }, nil
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

// add copies the image to a temporary directory, and moves it to where its digest says. The
// copy is retained.
func (s *Store) add(ctx context.Context, image Image, k kind) (string, error) {
	temporary, err := os.MkdirTemp(s.dir, importPrefix)
	if err != nil {
		return "", fmt.Errorf("copying the image: %w", err)
	}
	defer removeTemporary(ctx, temporary)
	if err := copyImage(ctx, temporary, image, k, s.limits); err != nil {
		return "", &Error{Path: image.Path, Err: err}
	}
	all, err := list(ctx, temporary)
	if err != nil {
		return "", &Error{Path: image.Path, Err: err}
	}
	text := all.text()
	digest := digestOf(text)
	var changed *ChangedError
	if s.retain(digest) {
		if err = s.verify(ctx, digest); err == nil {
			return digest, nil
		}
		s.release(digest)
		if !errors.As(err, &changed) {
			return "", err
		}
	}
	if err := errors.Join(all.protect(ctx, temporary), syncTree(ctx, temporary)); err != nil {
		return "", fmt.Errorf("copying the image: %w", err)
	}
	if err := s.place(temporary, digest, text, changed != nil); err != nil {
		return "", fmt.Errorf("copying the image: %w", err)
	}
	return digest, nil
}

// removeGrace is how long the removal of what is incomplete may take after its context has ended.
// Whoever waits for the lock of the deployment waits for it.
const removeGrace = 2 * time.Second

// removeTemporary removes what was made at path for a while. If it fails, what is left is removed
// when the agent starts again, or with its replica.
func removeTemporary(ctx context.Context, path string) {
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), removeGrace)
		defer cancel()
	}
	_ = durable.RemoveTree(ctx, path)
}

// protect makes everything in the listing read-only. Its listing says what modes a copy of it has.
func (l listing) protect(ctx context.Context, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, e := range l {
		mode := e.mode.Perm()&0o111 | 0o444
		switch {
		case e.mode.Type() == fs.ModeSymlink:
			continue
		case e.mode.IsDir():
			mode = 0o555
		}
		if err := errors.Join(ctx.Err(), root.Chmod(e.name, mode)); err != nil {
			return err
		}
	}
	return root.Chmod(".", 0o555)
}

// place makes temporary the copy with this digest. If what is there under this name has changed,
// it stays aside until the agent starts again: processes that an earlier version started may work
// in it. If not, another call has placed the same copy meanwhile, and replicas may be made from it.
func (s *Store) place(temporary, digest string, text []byte, hasChanged bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := os.Lstat(s.Path(digest)); err == nil && !hasChanged {
		s.retained[digest]++
		return nil
	}
	if err := durable.WriteFile(s.listingPath(digest), text); err != nil {
		return err
	}
	path := s.Path(digest)
	aside := filepath.Join(s.dir, removedPrefix+strings.TrimPrefix(filepath.Base(temporary), importPrefix))
	if err := os.Rename(path, aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	s.retained[digest]++
	return durable.SyncDir(s.dir)
}

// Collect removes the copies that are neither retained nor among those that inUse
// returns. If inUse returns an error, nothing is removed. What is left when ctx ends is removed when
// the agent starts again.
func (s *Store) Collect(ctx context.Context, inUse func() (map[string]bool, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	unused, err := s.setUnusedAside(inUse)
	for _, path := range unused {
		err = errors.Join(err, durable.RemoveTree(ctx, path))
	}
	if err != nil {
		return fmt.Errorf("removing images: %w", err)
	}
	return nil
}

// setUnusedAside gives unused copies another name, so that nothing waits until they are removed.
func (s *Store) setUnusedAside(inUse func() (map[string]bool, error)) (aside []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	used, err := inUse()
	if err != nil {
		return nil, fmt.Errorf("finding the images in use: %w", err)
	}
	for digest := range s.retained {
		used[digest] = true
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		name, isCopy := strings.CutPrefix(strings.TrimSuffix(entry.Name(), listingSuffix), copyPrefix)
		if !isCopy || used["sha256:"+name] {
			continue
		}
		// An earlier one that could not be removed may still be there.
		to := filepath.Join(s.dir, removedPrefix+entry.Name()+"-"+rand.Text())
		if err := os.Rename(filepath.Join(s.dir, entry.Name()), to); err != nil {
			return aside, err
		}
		aside = append(aside, to)
	}
	return aside, nil
}
