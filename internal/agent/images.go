// SPDX-License-Identifier: MPL-2.0

package agent

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

// images holds the copies of what was deployed, by content. Overwriting an image
// later changes nothing that runs or stands by.
type images struct {
	dir    string
	limits imageLimits

	mu sync.Mutex
	// pinned counts the deploys that have acquired a copy and whose workload does
	// not refer to it yet.
	pinned map[string]int
}

// importPrefix begins the name of a copy that is not complete.
const importPrefix = ".import-"

// openImages removes the copies that an agent that was killed did not complete.
func openImages(dir string) (*images, error) {
	unfinished, err := filepath.Glob(filepath.Join(dir, importPrefix+"*"))
	if err != nil {
		return nil, err
	}
	for _, path := range unfinished {
		if err := os.RemoveAll(path); err != nil {
			return nil, fmt.Errorf("clearing away an unfinished image: %w", err)
		}
	}
	return &images{dir: dir, limits: defaultImageLimits, pinned: map[string]int{}}, nil
}

// path is where the copy with this digest is.
func (i *images) path(digest string) string {
	return filepath.Join(i.dir, strings.Replace(digest, ":", "-", 1))
}

// acquire copies the image at path and returns its digest, "sha256:…". With a
// digest given it returns the copy there already is, or fails if the image has
// become another since. The copy stays until release is called and no workload
// refers to it.
func (i *images) acquire(ctx context.Context, path string, command []string, digest string) (_ string, release func(), err error) {
	if digest != "" && i.pin(digest) {
		return digest, func() { i.unpin(digest) }, nil
	}
	kind, err := kindOf(path, command)
	if err != nil {
		return "", nil, err
	}
	found, err := i.copyIn(ctx, path, kind)
	if err != nil {
		return "", nil, err
	}
	release = func() { i.unpin(found) }
	if digest != "" && found != digest {
		release()
		return "", nil, &ImageError{path, fmt.Errorf("it has changed since it was deployed: it was %s and is %s", digest, found)}
	}
	return found, release, nil
}

func (i *images) pin(digest string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if info, err := os.Stat(i.path(digest)); err != nil || !info.IsDir() {
		return false
	}
	i.pinned[digest]++
	return true
}

func (i *images) unpin(digest string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.pinned[digest]--; i.pinned[digest] == 0 {
		delete(i.pinned, digest)
	}
}

// copyIn copies the image aside, finds out its digest, and moves it, pinned, to
// where that says.
func (i *images) copyIn(ctx context.Context, path string, kind imageKind) (string, error) {
	temporary, err := os.MkdirTemp(i.dir, importPrefix)
	if err != nil {
		return "", fmt.Errorf("copying the image: %w", err)
	}
	// What is left after an error goes when the agent starts again.
	defer func() { _ = os.RemoveAll(temporary) }()
	if err := copyImage(ctx, temporary, path, kind, i.limits); err != nil {
		return "", &ImageError{path, err}
	}
	digest, err := digestOf(temporary)
	if err != nil {
		return "", &ImageError{path, err}
	}
	if i.pin(digest) {
		return digest, nil
	}
	if err := durable.SyncTree(temporary); err != nil {
		return "", fmt.Errorf("copying the image: %w", err)
	}
	if err := i.place(temporary, digest); err != nil {
		return "", fmt.Errorf("copying the image: %w", err)
	}
	return digest, nil
}

func (i *images) place(temporary, digest string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	// Another deploy may have placed the same content meanwhile.
	if err := os.Rename(temporary, i.path(digest)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	i.pinned[digest]++
	return durable.SyncDir(i.dir)
}

// collect removes the copies that are neither pinned nor among those that inUse
// returns. When it is not certain what is in use, everything stays.
func (i *images) collect(inUse func() (map[string]bool, error)) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	used, err := inUse()
	if err != nil {
		return fmt.Errorf("finding the images in use: %w", err)
	}
	for digest := range i.pinned {
		used[digest] = true
	}
	entries, err := os.ReadDir(i.dir)
	if err != nil {
		return fmt.Errorf("removing images: %w", err)
	}
	for _, entry := range entries {
		name, isCopy := strings.CutPrefix(entry.Name(), "sha256-")
		if !isCopy || used["sha256:"+name] {
			continue
		}
		if err := os.RemoveAll(filepath.Join(i.dir, entry.Name())); err != nil {
			return fmt.Errorf("removing an image: %w", err)
		}
	}
	return nil
}

// digestOf is the digest of everything under dir: paths in lexical order, modes,
// and content. A directory and an archive of it have the same.
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
