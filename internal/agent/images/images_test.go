// SPDX-License-Identifier: MPL-2.0

package images

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
)

// archiveOf writes a .tar.gz of entries and returns its path. What a regular
// file holds is its name.
func archiveOf(t *testing.T, entries ...tar.Header) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar.gz")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	zipped := gzip.NewWriter(file)
	archive := tar.NewWriter(zipped)
	for _, header := range entries {
		if header.Typeflag == tar.TypeReg {
			header.Size = int64(len(header.Name))
		}
		if err := archive.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if _, err := archive.Write([]byte(header.Name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(archive.Close(), zipped.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// anEntry is an entry of an archive.
func anEntry(kind byte, name, link string) tar.Header {
	return tar.Header{Typeflag: kind, Name: name, Linkname: link, Mode: 0o755}
}

func newImages(t testing.TB) *Store {
	t.Helper()
	dir := t.TempDir()
	i, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		i.syncs.Wait()
		if err := durable.RemoveTree(context.WithoutCancel(t.Context()), dir); err != nil {
			t.Error(err)
		}
	})
	return i
}

var someCommand = []string{"run"}

func TestArchiveCannotReachOutside(t *testing.T) {
	t.Parallel()
	const file, link, hard, dir = tar.TypeReg, tar.TypeSymlink, tar.TypeLink, tar.TypeDir
	cases := map[string]struct {
		entries []tar.Header
		names   string
	}{
		"a parent":           {[]tar.Header{anEntry(file, "../evil", "")}, "../evil"},
		"a parent, later":    {[]tar.Header{anEntry(file, "a/../../evil", "")}, "a/../../evil"},
		"an absolute path":   {[]tar.Header{anEntry(file, "/etc/evil", "")}, "/etc/evil"},
		"a link to a parent": {[]tar.Header{anEntry(link, "l", "../x")}, `"l"`},
		"an absolute link":   {[]tar.Header{anEntry(link, "l", "/etc")}, `"l"`},
		"a link through a link": {[]tar.Header{
			anEntry(dir, "a/b", ""), anEntry(link, "a/b/up", "../.."), anEntry(link, "l", "a/b/up/../x"),
		}, `"l"`},
		"a hard link":         {[]tar.Header{anEntry(hard, "h", "../../etc/passwd")}, `"h"`},
		"a device":            {[]tar.Header{anEntry(tar.TypeChar, "null", "")}, `"null"`},
		"a pipe":              {[]tar.Header{anEntry(tar.TypeFifo, "pipe", "")}, `"pipe"`},
		"the same file twice": {[]tar.Header{anEntry(file, "f", ""), anEntry(file, "f", "")}, `"f"`},
	}
	for what, c := range cases {
		t.Run(strings.ReplaceAll(what, " ", "_"), func(t *testing.T) {
			t.Parallel()
			i := newImages(t)
			path := archiveOf(t, c.entries...)
			_, _, err := i.Acquire(t.Context(), Image{Path: path, Command: someCommand}, "")
			var refused *Error
			if !errors.As(err, &refused) || refused.Path != path || !strings.Contains(err.Error(), c.names) {
				t.Errorf("got %v, want an error that names %s", err, c.names)
			}
			if left, err := os.ReadDir(i.dir); err != nil || len(left) != 0 {
				t.Errorf("left are %v, %v", left, err)
			}
		})
	}
}

func TestDirectoryAndItsArchiveAreTheSameImage(t *testing.T) {
	t.Parallel()
	i := newImages(t)
	dir := t.TempDir()
	bin, program := filepath.Join(dir, "bin"), filepath.Join(dir, "bin", "run")
	for _, err := range []error{
		os.Chmod(dir, 0o755), os.Mkdir(bin, 0o755), os.Chmod(bin, 0o755),
		os.WriteFile(program, []byte("bin/run"), 0o755), os.Chmod(program, 0o755),
		os.Symlink("bin/run", filepath.Join(dir, "start")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	first, release, err := i.Acquire(t.Context(), Image{Path: dir, Command: someCommand}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	comment := map[string]string{"comment": "as git archive writes it"}
	path := archiveOf(t, tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: comment},
		anEntry(tar.TypeDir, "./", ""), anEntry(tar.TypeSymlink, "start", "bin/run"),
		anEntry(tar.TypeReg, "bin/run", ""))
	second, releaseSecond, err := i.Acquire(t.Context(), Image{Path: path, Command: someCommand}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer releaseSecond()
	if first != second {
		t.Errorf("the directory is %s, the archive %s", first, second)
	}
	for command, want := range map[string]string{"bin/run": "bin/run", "start": "start", "/bin/sh": ""} {
		argv, err := Argv(i.Path(first), dir, []string{command, "a"}, []string{"b"})
		if want == "" {
			want = command
		}
		if err != nil || strings.Join(argv, " ") != want+" a b" {
			t.Errorf("%s runs as %v, %v", command, argv, err)
		}
	}
	for _, command := range []string{"missing", "../run", "bin"} {
		if argv, err := Argv(i.Path(first), dir, []string{command}, nil); err == nil {
			t.Errorf("%s runs as %v", command, argv)
		}
	}
}

func TestPinnedImageIsTheOneThatWasDeployed(t *testing.T) {
	t.Parallel()
	i := newImages(t)
	path := filepath.Join(t.TempDir(), "run")
	write := func(content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	digest, release, err := i.Acquire(t.Context(), Image{Path: path, Command: someCommand}, "")
	if err != nil {
		t.Fatal(err)
	}
	write("two")
	again, releaseAgain, err := i.Acquire(t.Context(), Image{Path: path, Command: someCommand}, digest)
	if err != nil || again != digest {
		t.Fatalf("got %s, %v; want the copy, %s", again, err, digest)
	}
	nothing := func() (map[string]bool, error) { return map[string]bool{}, nil }
	release()
	if err := i.Collect(t.Context(), nothing); err != nil || !i.retain(digest) {
		t.Errorf("the copy is gone while it is acquired: %v", err)
	}
	i.release(digest)
	releaseAgain()
	unknown := func() (map[string]bool, error) { return nil, errors.New("unknown") }
	if err := i.Collect(t.Context(), unknown); err == nil || !i.retain(digest) {
		t.Errorf("the copy is gone although it may be in use: %v", err)
	}
	i.release(digest)
	if err := i.Collect(t.Context(), nothing); err != nil {
		t.Fatal(err)
	}
	var changed *Error
	if _, _, err := i.Acquire(t.Context(), Image{Path: path, Command: someCommand}, digest); !errors.As(err, &changed) {
		t.Errorf("an image that has changed is taken: %v", err)
	}
}

// What could not be removed once does not keep the next copy of the same image from being removed.
func TestCopyIsCollectedBesideOneThatWasLeft(t *testing.T) {
	t.Parallel()
	i := newImages(t)
	digest, release, err := i.Acquire(t.Context(), Image{Path: newImage(t), Command: someCommand}, "")
	if err != nil {
		t.Fatal(err)
	}
	release()
	left := filepath.Join(i.dir, removedPrefix+filepath.Base(i.Path(digest)))
	if err := os.MkdirAll(filepath.Join(left, "held"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := i.Collect(t.Context(), func() (map[string]bool, error) { return map[string]bool{}, nil }); err != nil {
		t.Error(err)
	}
	if _, err := Open(i.dir, slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(i.dir); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

func TestImageMayNotBeTooLarge(t *testing.T) {
	t.Parallel()
	path := archiveOf(t, anEntry(tar.TypeReg, "one", ""), anEntry(tar.TypeReg, "two", ""))
	for _, most := range []limits{
		{bytes: 5, entries: 10, depth: 10, path: 10}, {bytes: 100, entries: 1, depth: 10, path: 10},
	} {
		i := newImages(t)
		i.limits = most
		_, _, err := i.Acquire(t.Context(), Image{Path: path, Command: someCommand}, "")
		if err == nil || !strings.Contains(err.Error(), "too large") {
			t.Errorf("%+v: %v", most, err)
		}
	}
}

// Each replica gets a copy for each name of a file, and the digest is made by reading each.
func TestHardLinksCountAsFiles(t *testing.T) {
	t.Parallel()
	entries := []tar.Header{anEntry(tar.TypeReg, "file", "")}
	for _, name := range []string{"one", "two", "three"} {
		entries = append(entries, anEntry(tar.TypeLink, name, "file"))
	}
	image := Image{Path: archiveOf(t, entries...), Command: someCommand}
	i := newImages(t)
	i.limits.bytes = 4*4 - 1
	_, _, err := i.Acquire(t.Context(), image, "")
	if err == nil || !strings.Contains(err.Error(), "at most 15 bytes") {
		t.Errorf("got %v", err)
	}
	i.limits.bytes++
	_, release, err := i.Acquire(t.Context(), image, "")
	if err != nil {
		t.Fatal(err)
	}
	release()
}

func TestCancelledCopyLeavesNothing(t *testing.T) {
	t.Parallel()
	i := newImages(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := archiveOf(t, anEntry(tar.TypeReg, "one", ""))
	if _, _, err := i.Acquire(ctx, Image{Path: path, Command: someCommand}, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(i.dir); err != nil || len(left) != 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name string, mode fs.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	// A Python venv has such links.
	linked := func(target string) string {
		image := t.TempDir()
		link := filepath.Join(image, "bin", "python3")
		if err := errors.Join(os.Mkdir(filepath.Dir(link), 0o755), os.Symlink(target, link)); err != nil {
			t.Fatal(err)
		}
		return image
	}
	cases := map[string]struct {
		path    string
		command []string
		says    string
	}{
		"an executable":                {file("run", 0o755), nil, ""},
		"a script and what runs it":    {file("app.py", 0o644), someCommand, ""},
		"a directory and a command":    {dir, someCommand, ""},
		"an archive and a command":     {file("a.tgz", 0o644), someCommand, ""},
		"nothing":                      {filepath.Join(dir, "missing"), nil, "does not exist"},
		"a file that is no executable": {file("text", 0o644), nil, "not executable"},
		"a directory alone":            {dir, nil, "a directory, so command"},
		"an archive alone":             {file("b.tar.gz", 0o755), nil, "an archive, so command"},
		"a directory with a link out": {
			linked("../../x"), someCommand, `link "bin/python3" to "../../x": it leads out`,
		},
		"one with an absolute link": {linked("/usr/bin/python3"), someCommand, `link "bin/python3" to "/usr/bin`},
		"one with a link inside":    {linked("python3.14"), someCommand, ""},
		"a device":                  {os.DevNull, someCommand, "neither a file nor a directory"},
	}
	for what, c := range cases {
		err := Check(t.Context(), Image{Path: c.path, Command: c.command})
		var refused *Error
		switch {
		case c.says == "" && err != nil:
			t.Errorf("%s: %v", what, err)
		case c.says != "" && (!errors.As(err, &refused) || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: got %v, want %q", what, err, c.says)
		}
	}
}
