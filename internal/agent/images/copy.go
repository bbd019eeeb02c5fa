// SPDX-License-Identifier: MPL-2.0

package images

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// limits bound what one image may take, so that an archive cannot fill the disk.
type limits struct {
	bytes   int64
	entries int
}

var defaultLimits = limits{bytes: 4 << 30, entries: 200_000}

// copier copies one image into a directory that nothing can leave.
type copier struct {
	ctx    context.Context
	into   *os.Root
	limits limits
	// left is what the limits still allow.
	left limits
}

// copyImage copies the image at path into dir.
func copyImage(ctx context.Context, dir, path string, k kind, limit limits) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	c := &copier{ctx, root, limit, limit}
	switch k {
	case directoryKind:
		err = c.tree(path)
	case archiveKind:
		err = c.archive(path)
	default:
		err = c.fileAt(path, filepath.Base(path))
	}
	if err != nil {
		return err
	}
	return c.checkLinks()
}

func (c *copier) fileAt(path, name string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	return c.file(name, info.Mode(), file)
}

func (c *copier) tree(from string) error {
	// WalkDir does not follow a link that it begins with.
	from, err := filepath.EvalSymlinks(from)
	if err != nil {
		return err
	}
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil || name == "." {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		switch mode := info.Mode(); {
		case mode.IsDir():
			return c.directory(name, mode)
		case mode.IsRegular():
			return c.fileAt(path, name)
		case mode.Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return c.symlink(name, target)
		default:
			return fmt.Errorf("entry %q is neither a file, a directory nor a link", name)
		}
	})
}

func (c *copier) archive(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		return fmt.Errorf("it is not a gzip file: %w", err)
	}
	for entries := tar.NewReader(unzipped); ; {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("it is damaged or not a tar archive: %w", err)
		}
		if err := c.entry(header, entries); err != nil {
			return fmt.Errorf("entry %q: %w", header.Name, err)
		}
	}
}

var errOutside = errors.New("it leads out of the image")

func (c *copier) entry(header *tar.Header, content io.Reader) error {
	name := filepath.Clean(filepath.FromSlash(header.Name))
	if !filepath.IsLocal(name) {
		return errOutside
	}
	if parent := filepath.Dir(name); parent != "." {
		if err := c.into.MkdirAll(parent, 0o755); err != nil {
			return err
		}
	}
	switch header.Typeflag {
	case tar.TypeXGlobalHeader:
		return nil
	case tar.TypeDir:
		return c.directory(name, header.FileInfo().Mode())
	case tar.TypeReg:
		return c.file(name, header.FileInfo().Mode(), content)
	case tar.TypeSymlink:
		return c.symlink(name, filepath.FromSlash(header.Linkname))
	case tar.TypeLink:
		target := filepath.Clean(filepath.FromSlash(header.Linkname))
		if !filepath.IsLocal(target) {
			return errOutside
		}
		return errors.Join(c.count(), c.into.Link(target, name))
	default:
		return errors.New("it is neither a file, a directory nor a link")
	}
}

func (c *copier) directory(name string, mode fs.FileMode) error {
	if err := c.count(); err != nil {
		return err
	}
	if err := c.into.MkdirAll(name, 0o755); err != nil {
		return err
	}
	// Without these the copy could be neither filled nor removed.
	return c.into.Chmod(name, mode.Perm()|0o700)
}

func (c *copier) file(name string, mode fs.FileMode, content io.Reader) (err error) {
	if err := c.count(); err != nil {
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
	if c.left.bytes -= n; c.left.bytes < 0 {
		return fmt.Errorf("it is too large: an image may take at most %d bytes", c.limits.bytes)
	}
	return file.Chmod(mode.Perm())
}

func (c *copier) symlink(name, target string) error {
	if filepath.IsAbs(target) || !filepath.IsLocal(filepath.Join(filepath.Dir(name), target)) {
		return fmt.Errorf("link %q to %q: %w", name, target, errOutside)
	}
	return errors.Join(c.count(), c.into.Symlink(target, name))
}

func (c *copier) count() error {
	if c.left.entries--; c.left.entries < 0 {
		return fmt.Errorf("it is too large: an image may have at most %d entries", c.limits.entries)
	}
	return c.ctx.Err()
}

// checkLinks refuses links that leave the image through other links, which their text
// does not show. A link to nothing is allowed.
func (c *copier) checkLinks() error {
	return fs.WalkDir(c.into.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type() != fs.ModeSymlink {
			return err
		}
		if _, err := c.into.Stat(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("link %q: %w", name, err)
		}
		return nil
	})
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
