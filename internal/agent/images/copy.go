// SPDX-License-Identifier: MPL-2.0

package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
)

// copier copies one image into a directory that nothing can leave.
type copier struct {
	ctx context.Context
	// into is nil if the image is only looked at.
	into *os.Root
	kind kind
	// followsLinks says that links that lead out are replaced by what they lead to.
	followsLinks bool
	limits       limits
	// left is what the limits still allow.
	left limits
	// made are the directories of the copy.
	made map[string]bool
	// within are the directories that are being copied, the image first.
	within []string
}

func newCopier(ctx context.Context, into *os.Root, image Image, k kind, limit limits) *copier {
	return &copier{
		ctx: ctx, into: into, kind: k, followsLinks: image.FollowsLinks, limits: limit, left: limit,
		made: map[string]bool{},
	}
}

// copyImage copies the image into dir.
func copyImage(ctx context.Context, dir string, image Image, k kind, limit limits) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	c := newCopier(ctx, root, image, k, limit)
	switch k {
	case directoryKind:
		err = c.tree(image.Path, ".")
	case archiveKind:
		err = c.archive(image.Path)
	default:
		err = c.fileAt(image.Path, filepath.Base(image.Path))
	}
	if err != nil {
		return err
	}
	return c.checkLinks(root)
}

// checkTree returns the error that copying the directory at path would end with, as far as its
// names and links tell.
func (c *copier) checkTree(path string) error {
	if err := c.tree(path, "."); err != nil {
		return err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer root.Close()
	return c.checkLinks(root)
}

// treeFS is a directory that others may change while it is copied. Nothing in it leads out, and
// nothing that is opened makes the agent wait, as a named pipe would.
type treeFS struct{ *os.Root }

func (f treeFS) Open(name string) (fs.File, error) { return f.OpenFile(name, durable.ReadOnly, 0) }

// openRegular opens the file at path, to which links may lead.
func openRegular(path string) (*os.File, error) {
	return requireRegular(os.OpenFile(path, durable.ReadOnly, 0))
}

// requireRegular returns file if it is a regular file.
func requireRegular(file *os.File, err error) (*os.File, error) {
	regular, err := durable.RequireRegular(file, err)
	if errors.Is(err, durable.ErrNotRegular) {
		err = fmt.Errorf("%q is not a file any more", abbreviate(file.Name()))
	}
	return regular, err
}

// tree copies the directory at from to the directory called at.
func (c *copier) tree(from, at string) error {
	from, err := filepath.EvalSymlinks(from)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer root.Close()
	c.within = append(c.within, from)
	defer func() { c.within = c.within[:len(c.within)-1] }()
	return fs.WalkDir(treeFS{root}, ".", func(inTree string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		inTree = filepath.FromSlash(inTree)
		name := filepath.Join(at, inTree)
		if name == "." {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		switch mode := info.Mode(); {
		case mode.IsDir():
			return c.directory(name, mode)
		case mode.IsRegular():
			return c.fileIn(root, inTree, name, info.Size())
		case mode.Type() == fs.ModeSymlink:
			return c.linkIn(root, inTree, name)
		default:
			return fmt.Errorf("entry %q is neither a file, a directory nor a link", abbreviate(name))
		}
	})
}

// fileIn copies the file called inTree in the directory tree. If the image is only looked at, the
// file is not opened, and size is its size.
func (c *copier) fileIn(tree *os.Root, inTree, name string, size int64) error {
	if c.into == nil {
		return errors.Join(c.admit(name), c.take(size))
	}
	file, err := requireRegular(tree.OpenFile(inTree, durable.ReadOnly, 0))
	if err != nil {
		return err
	}
	defer file.Close()
	return c.copyOf(file, name)
}

// fileAt copies the file at path, to which links may lead.
func (c *copier) fileAt(path, name string) error {
	file, err := openRegular(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return c.copyOf(file, name)
}

func (c *copier) copyOf(file *os.File, name string) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	return c.file(name, info.Mode(), file)
}

// makeDirectory makes a directory unless it is there.
func (c *copier) makeDirectory(name string) error {
	if c.made[name] || name == "." {
		return nil
	}
	if err := c.admit(name); err != nil {
		return err
	}
	c.made[name] = true
	if c.into == nil {
		return nil
	}
	if err := c.into.Mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func (c *copier) directory(name string, mode fs.FileMode) error {
	if err := c.makeDirectory(name); err != nil || c.into == nil {
		return err
	}
	// Without these the copy could be neither filled nor removed.
	return c.into.Chmod(name, mode.Perm()|0o700)
}

func (c *copier) file(name string, mode fs.FileMode, content io.Reader) (err error) {
	if err := c.admit(name); err != nil {
		return err
	}
	file, err := c.into.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	n, err := io.Copy(file, io.LimitReader(contextReader{c.ctx, content}, c.left.bytes+1))
	if err != nil {
		return err
	}
	if err := c.take(n); err != nil {
		return err
	}
	return file.Chmod(mode.Perm())
}

// contextReader ends a long copy with its context.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
