// SPDX-License-Identifier: MPL-2.0

package images

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path/filepath"
)

// archive copies what is in the archive at path.
func (c *copier) archive(path string) error {
	file, err := openRegular(path)
	if err != nil {
		return err
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(contextReader{c.ctx, file})
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
			return fmt.Errorf("entry %q: %w", abbreviate(header.Name), err)
		}
	}
}

func (c *copier) entry(header *tar.Header, content io.Reader) error {
	name := filepath.Clean(filepath.FromSlash(header.Name))
	if !filepath.IsLocal(name) {
		return errOutsideArchive
	}
	if err := c.checkPath(name); err != nil {
		return err
	}
	if err := c.parents(name); err != nil {
		return err
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
		return c.hardLink(filepath.Clean(filepath.FromSlash(header.Linkname)), name)
	default:
		return errors.New("it is neither a file, a directory nor a link")
	}
}

// hardLink gives the file called target a further name. It counts as a file of the same size,
// because every replica gets a copy for each name.
func (c *copier) hardLink(target, name string) error {
	if !filepath.IsLocal(target) {
		return errOutsideArchive
	}
	if err := c.admit(name); err != nil {
		return err
	}
	info, err := c.into.Lstat(target)
	if err != nil {
		return err
	}
	if err := c.take(info.Size()); err != nil {
		return err
	}
	return c.into.Link(target, name)
}

// parents makes the directories that only the path of an entry names.
func (c *copier) parents(name string) error {
	parent := filepath.Dir(name)
	if parent == "." || c.made[parent] {
		return nil
	}
	if err := c.parents(parent); err != nil {
		return err
	}
	return c.makeDirectory(parent)
}
