// SPDX-License-Identifier: MPL-2.0

package images

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
)

// Owner is whom the files of a directory belong to. Nobody leaves them to the user of the agent.
type Owner struct{ UID, GID int }

// Nobody is no owner.
var Nobody = Owner{-1, -1}

// ChangedError is a copy that is not what it was when it was stored.
type ChangedError struct {
	Digest string
	// Name is an entry that has changed, "" if that is not known.
	Name string
	Err  error
}

func (e *ChangedError) Error() string {
	what := "the copy of image " + e.Digest + " has been changed or is damaged"
	if e.Name != "" {
		what += fmt.Sprintf(": %q", abbreviate(e.Name))
	}
	if e.Err != nil {
		what += ": " + e.Err.Error()
	}
	return what
}

func (e *ChangedError) Unwrap() error { return e.Err }

const (
	// newSuffix ends the name of a directory that is not complete yet.
	newSuffix = ".new"
	// durableSuffix ends the name of a file that says that the directory beside it is durable.
	durableSuffix = ".durable"
)

// MakeDirectory makes a directory of its own from the copy with this digest, for one replica. It
// belongs to owner, and whatever is written in it changes no other. It shares the disk with the
// copy where the file system can do that and still keep them apart. What is put into it is
// verified: a copy that has changed is a *ChangedError.
//
// A replica need not wait until its directory is on the disk. If the machine fails before that,
// the directory is made again; otherwise MakeDirectory does nothing if the directory is there.
func (s *Store) MakeDirectory(ctx context.Context, digest, dir string, owner Owner) error {
	if s.isMade(dir) {
		s.KeepDirectory(dir)
		return nil
	}
	if !s.retain(digest) {
		return fmt.Errorf("the copy of image %s is gone; the next deploy makes another", digest)
	}
	defer s.release(digest)
	all, err := s.listingOf(ctx, digest)
	if err != nil {
		return err
	}
	incomplete := dir + newSuffix
	// The mark of a former directory does not count for this one.
	_ = os.Remove(dir + durableSuffix)
	err = errors.Join(durable.RemoveTree(ctx, dir), durable.RemoveTree(ctx, incomplete))
	if err == nil {
		err = os.Mkdir(incomplete, 0o700)
	}
	if err != nil {
		return fmt.Errorf("making a copy of the image: %w", err)
	}
	err = s.fill(ctx, digest, all, incomplete, owner)
	if err == nil {
		err = os.Rename(incomplete, dir)
	}
	if err != nil {
		// The directory of the replica is removed with the replica in any case.
		removeTemporary(ctx, incomplete)
		return fmt.Errorf("making a copy of the image: %w", err)
	}
	s.makeDurable(dir)
	return nil
}

// KeepDirectory says that a replica runs in the directory, which is therefore complete, even if an
// earlier agent could not mark it: what the replica has written there stays.
func (s *Store) KeepDirectory(dir string) {
	if exists(dir) && !exists(dir+durableSuffix) {
		s.makeDurable(dir)
	}
}

// isMade reports whether the directory is there and complete.
func (s *Store) isMade(dir string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, isComplete := s.complete[dir]
	return exists(dir) && (isComplete || exists(dir+durableSuffix))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// makeDurable writes the directory, which is complete, to the disk while its replica runs. Then it
// marks the directory. If the disk is full, only this process knows that the directory is complete.
func (s *Store) makeDurable(dir string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.complete[dir] {
		return
	}
	s.complete[dir] = true
	s.syncs.Go(func() {
		err := durable.SyncTree(dir)
		if err == nil {
			err = os.WriteFile(dir+durableSuffix, nil, 0o600)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.complete[dir] = false
		// It may have been removed by now.
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			delete(s.complete, dir)
		}
	})
}

// fill copies everything in the listing to dir.
func (s *Store) fill(ctx context.Context, digest string, all listing, dir string, owner Owner) error {
	from, err := os.OpenRoot(s.Path(digest))
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer to.Close()
	for _, e := range append(listing{{name: ".", mode: fs.ModeDir | 0o700}}, all...) {
		if err := e.copy(ctx, to, from, owner); err != nil {
			if changed, ok := errors.AsType[*ChangedError](err); ok {
				changed.Digest = digest
			}
			return err
		}
	}
	return nil
}

// copy makes the entry in to what it is in from, and gives it to owner.
func (e entry) copy(ctx context.Context, to, from *os.Root, owner Owner) (err error) {
	switch {
	case e.name == ".":
	case e.mode.IsDir():
		// A copy has no directory that its owner cannot write to.
		if err = to.Mkdir(e.name, 0o700); err == nil {
			err = to.Chmod(e.name, e.mode.Perm())
		}
	case e.mode.Type() == fs.ModeSymlink:
		if err = e.verify(ctx, from); err == nil {
			err = to.Symlink(string(e.content), e.name)
		}
	default:
		err = e.copyFile(ctx, to, from)
	}
	if err == nil && owner != Nobody {
		err = to.Lchown(e.name, owner.UID, owner.GID)
	}
	return errors.Join(err, ctx.Err())
}

func (e entry) copyFile(ctx context.Context, to, from *os.Root) (err error) {
	source, err := e.open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	file, err := to.OpenFile(e.name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if clone(file, source) != nil {
		if err := copyContent(ctx, file, source); err != nil {
			return err
		}
	}
	// What counts is what the replica gets.
	if err := e.check(ctx, io.NewSectionReader(file, 0, 1<<62)); err != nil {
		return err
	}
	return file.Chmod(e.mode.Perm())
}

// open opens the file of the entry, which must not be a link.
func (e entry) open(from *os.Root) (*os.File, error) {
	info, err := from.Lstat(e.name)
	if err != nil || !info.Mode().IsRegular() {
		return nil, &ChangedError{Name: e.name, Err: err}
	}
	return from.Open(e.name)
}

// check returns an error unless content is that of the entry.
func (e entry) check(ctx context.Context, content io.Reader) error {
	sum := sha256.New()
	if _, err := io.Copy(sum, contextReader{ctx, content}); err != nil {
		return err
	}
	if !bytes.Equal(sum.Sum(nil), e.content) {
		return &ChangedError{Name: e.name}
	}
	return nil
}

// copyChunk is how much is copied between two looks at the context.
const copyChunk = 64 << 20

// copyContent copies from to to. The system does it where it can.
func copyContent(ctx context.Context, to, from *os.File) error {
	for {
		n, err := io.CopyN(to, from, copyChunk)
		if errors.Is(err, io.EOF) || err == nil && n < copyChunk {
			return nil
		}
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
	}
}

// verify returns a *ChangedError unless the copy has everything in its listing. What else is
// there does no harm: nothing is made from it.
func (s *Store) verify(ctx context.Context, digest string) error {
	all, err := s.listingOf(ctx, digest)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(s.Path(digest))
	if err != nil {
		return err
	}
	defer root.Close()
	for _, e := range all {
		if err := e.verify(ctx, root); err != nil {
			if changed, ok := errors.AsType[*ChangedError](err); ok {
				changed.Digest = digest
			}
			return err
		}
	}
	return nil
}

func (e entry) verify(ctx context.Context, root *os.Root) error {
	switch {
	case e.mode.IsDir():
		info, err := root.Lstat(e.name)
		if err != nil || !info.IsDir() {
			return &ChangedError{Name: e.name, Err: err}
		}
		return ctx.Err()
	case e.mode.Type() == fs.ModeSymlink:
		if target, err := root.Readlink(e.name); err != nil || target != string(e.content) {
			return &ChangedError{Name: e.name, Err: err}
		}
		return ctx.Err()
	}
	file, err := e.open(root)
	if err != nil {
		return err
	}
	defer file.Close()
	return e.check(ctx, file)
}

// listingOf returns the listing of the copy with this digest. A copy that an earlier version
// stored has none yet, and gets it if it is what it was.
func (s *Store) listingOf(ctx context.Context, digest string) (listing, error) {
	path := s.listingPath(digest)
	text, err := durable.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if text != nil {
		if digestOf(text) != digest {
			return nil, &ChangedError{Digest: digest, Err: fmt.Errorf("%s is not its list of files", path)}
		}
		return parseListing(text)
	}
	all, err := list(ctx, s.Path(digest))
	if err != nil {
		return nil, err
	}
	if text = all.text(); digestOf(text) != digest {
		return nil, &ChangedError{Digest: digest}
	}
	return all, durable.WriteFile(path, text)
}

// syncTree is durable.SyncTree, and returns when ctx ends.
func syncTree(ctx context.Context, dir string) error {
	synced := make(chan error, 1)
	go func() { synced <- durable.SyncTree(dir) }()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-synced:
		return err
	}
}
