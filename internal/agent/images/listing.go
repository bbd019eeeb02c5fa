// SPDX-License-Identifier: MPL-2.0

package images

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// listing says what is in an image: its entries, a directory before what is in it. The digest
// of an image is that of the text of its listing, so that a listing with the right digest is the
// right one.
type listing []entry

// entry is a file, a directory or a link of an image.
type entry struct {
	name string
	mode fs.FileMode
	// content is the sum of a file, or the target of a link.
	content []byte
}

// String is the line of the entry.
func (e entry) String() string { return fmt.Sprintf("%q %v %x\n", e.name, e.mode, e.content) }

// text is what the digest is made from.
func (l listing) text() []byte {
	var text bytes.Buffer
	for _, e := range l {
		text.WriteString(e.String())
	}
	return text.Bytes()
}

func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// list returns what is under dir, in lexical order. A directory and an archive of it have the
// same listing.
func list(ctx context.Context, dir string) (listing, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var all listing
	err = fs.WalkDir(root.FS(), ".", func(name string, found fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		info, err := found.Info()
		if err != nil {
			return err
		}
		content, err := contentOf(ctx, root, name, info.Mode())
		all = append(all, entry{name, info.Mode() & (fs.ModeType | fs.ModePerm), content})
		return err
	})
	return all, err
}

func contentOf(ctx context.Context, root *os.Root, name string, mode fs.FileMode) ([]byte, error) {
	switch {
	case mode.IsDir():
		return nil, ctx.Err()
	case mode.Type() == fs.ModeSymlink:
		target, err := root.Readlink(name)
		return []byte(target), err
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	sum := sha256.New()
	_, err = io.Copy(sum, contextReader{ctx, file})
	return sum.Sum(nil), err
}

// parseListing reads the text of a listing whose digest is right.
func parseListing(text []byte) (listing, error) {
	var all listing
	for number, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		if line == "" {
			continue
		}
		e, err := parseEntry(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number+1, err)
		}
		all = append(all, e)
	}
	return all, nil
}

func parseEntry(line string) (e entry, err error) {
	quoted, err := strconv.QuotedPrefix(line)
	if err != nil {
		return e, err
	}
	if e.name, err = strconv.Unquote(quoted); err != nil {
		return e, err
	}
	mode, content, found := strings.Cut(strings.TrimPrefix(line[len(quoted):], " "), " ")
	if e.mode, err = parseMode(mode); err != nil || !found || !filepath.IsLocal(e.name) {
		return e, fmt.Errorf("%q is no entry of an image", line)
	}
	e.content, err = hex.DecodeString(content)
	return e, err
}

// parseMode reads what fs.FileMode.String has written for a file, a directory or a link.
func parseMode(text string) (mode fs.FileMode, err error) {
	const letters = "rwxrwxrwx"
	if len(text) != 1+len(letters) {
		return 0, fs.ErrInvalid
	}
	for i, letter := range letters {
		if rune(text[1+i]) == letter {
			mode |= 1 << (len(letters) - 1 - i)
		}
	}
	switch text[0] {
	case 'd':
		mode |= fs.ModeDir
	case 'L':
		mode |= fs.ModeSymlink
	case '-':
	default:
		return 0, fs.ErrInvalid
	}
	if mode.String() != text {
		return 0, fs.ErrInvalid
	}
	return mode, nil
}
