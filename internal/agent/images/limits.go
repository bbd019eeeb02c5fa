// SPDX-License-Identifier: MPL-2.0

package images

import (
	"fmt"
	"path/filepath"
	"strings"
)

// limits bound what one image may take, so that an archive can fill neither the disk nor the
// time of the agent.
type limits struct {
	bytes int64
	// entries counts files, links and directories, also those that only the path of another
	// entry names.
	entries int
	// depth is how many names the path of an entry may have, and path how many bytes.
	depth, path int
}

var defaultLimits = limits{bytes: 4 << 30, entries: 200_000, depth: 100, path: 2048}

// admit counts an entry, or returns an error that says which limit it exceeds.
func (c *copier) admit(name string) error {
	if err := c.checkPath(name); err != nil {
		return err
	}
	if c.left.entries--; c.left.entries < 0 {
		return fmt.Errorf("it is too large: an image may have at most %d entries", c.limits.entries)
	}
	return c.ctx.Err()
}

// take counts the bytes of a file.
func (c *copier) take(bytes int64) error {
	if c.left.bytes -= bytes; c.left.bytes < 0 {
		return fmt.Errorf("it is too large: an image may take at most %d bytes", c.limits.bytes)
	}
	return nil
}

func (c *copier) checkPath(name string) error {
	if len(name) > c.limits.path {
		return fmt.Errorf("its path is too long: it has %d bytes, and in an image a path may have at most %d",
			len(name), c.limits.path)
	}
	if depth := 1 + strings.Count(name, string(filepath.Separator)); depth > c.limits.depth {
		return fmt.Errorf("it is too deep: an image may have at most %d levels of directories", c.limits.depth)
	}
	return nil
}

// longestName is how much of a name an error shows.
const longestName = 200

// abbreviate shortens a name that nobody can read.
func abbreviate(name string) string {
	if len(name) <= longestName {
		return name
	}
	return name[:longestName] + "…"
}
