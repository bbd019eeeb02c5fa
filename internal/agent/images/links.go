// SPDX-License-Identifier: MPL-2.0

package images

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

const outside = "it leads out of the image, whose copy would lack what is there: "

var (
	errOutsideDirectory = errors.New(outside +
		"set local.follow_links to true to copy what it leads to, or put that into the image instead of the link")
	errOutsideArchive = errors.New(outside + "put that into the image instead of the link")
)

// errOutside is the error about a link that leads out of the image.
func (c *copier) errOutside() error {
	if c.kind == archiveKind {
		return errOutsideArchive
	}
	return errOutsideDirectory
}

// linkIn copies the link called inTree in the directory tree, which is called name in the image.
func (c *copier) linkIn(tree *os.Root, inTree, name string) error {
	target, err := tree.Readlink(inTree)
	if err != nil {
		return err
	}
	if !c.followsLinks || isInside(inTree, target) && !turnsBack(target) {
		return c.symlink(name, target)
	}
	actual, err := filepath.EvalSymlinks(filepath.Join(tree.Name(), inTree))
	if err != nil {
		return fmt.Errorf("link %q to %q cannot be followed: %w", abbreviate(name), abbreviate(target), err)
	}
	return c.follow(actual, name)
}

// follow copies what the link called name leads to.
func (c *copier) follow(actual, name string) error {
	info, err := os.Stat(actual)
	switch {
	case err != nil:
		return err
	case info.Mode().IsRegular() && c.into == nil:
		return errors.Join(c.admit(name), c.take(info.Size()))
	case info.Mode().IsRegular():
		return c.fileAt(actual, name)
	case !info.IsDir():
		return fmt.Errorf("link %q leads to %q, which is neither a file nor a directory",
			abbreviate(name), abbreviate(actual))
	}
	for _, outer := range c.within {
		if inner, err := filepath.Rel(actual, outer); err == nil && filepath.IsLocal(inner) {
			return fmt.Errorf("link %q leads to %q, which contains the link itself",
				abbreviate(name), abbreviate(actual))
		}
	}
	return c.tree(actual, name)
}

// isInside reports whether the text of a link called name leads to something in its tree.
func isInside(name, target string) bool {
	return !filepath.IsAbs(target) && filepath.IsLocal(filepath.Join(filepath.Dir(name), target))
}

// turnsBack reports whether a relative path goes up again after a name. If that is the name of a
// link, the text does not tell where the path leads.
func turnsBack(target string) bool {
	names := slices.DeleteFunc(strings.Split(filepath.ToSlash(target), "/"), func(name string) bool {
		return name == "" || name == "."
	})
	up := 0
	for up < len(names) && names[up] == ".." {
		up++
	}
	return slices.Contains(names[up:], "..")
}

func (c *copier) symlink(name, target string) error {
	if !isInside(name, target) {
		return fmt.Errorf("link %q to %q: %w", abbreviate(name), abbreviate(target), c.errOutside())
	}
	if err := c.admit(name); err != nil || c.into == nil {
		return err
	}
	return c.into.Symlink(target, name)
}

// checkLinks refuses links that leave the image through other links, which their text
// does not show. A link to nothing is allowed.
func (c *copier) checkLinks(image *os.Root) error {
	return fs.WalkDir(treeFS{image}, ".", func(name string, entry fs.DirEntry, err error) error {
		if err := errors.Join(err, c.ctx.Err()); err != nil || entry.Type() != fs.ModeSymlink {
			return err
		}
		_, err = image.Stat(name)
		// The system has no error for a path that leaves the image.
		if _, isOfSystem := errors.AsType[syscall.Errno](err); err != nil && !isOfSystem {
			if c.into == nil && c.followsLinks {
				return nil
			}
			err = c.errOutside()
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("link %q: %w", abbreviate(name), err)
		}
		return nil
	})
}
