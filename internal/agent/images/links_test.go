// SPDX-License-Identifier: MPL-2.0

//go:build unix

package images

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// wayOut is the attribute that the error about a link names.
const wayOut = "local.follow_links"

// tree makes what is in entries in a new directory, and returns it. A name that ends in "/" is a
// directory, "name -> target" is a link, and any other name is a file that holds its name. "OUT"
// in a target is replaced by out.
func tree(t *testing.T, out string, entries ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, entry := range entries {
		name, target, isLink := strings.Cut(entry, " -> ")
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		switch {
		case isLink:
			err = errors.Join(err, os.Symlink(strings.ReplaceAll(target, "OUT", out), path))
		case strings.HasSuffix(name, "/"):
			err = errors.Join(err, os.MkdirAll(path, 0o755))
		default:
			err = errors.Join(err, os.WriteFile(path, []byte(name), 0o755))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A Python venv has links to the interpreter, which may be a link itself. A copy that follows them
// has what they lead to, and needs nothing that is outside. Links that stay inside remain links.
func TestFollowedLinksAreCopiedWithWhatTheyLeadTo(t *testing.T) {
	t.Parallel()
	out := tree(t, "", "python3.14", "lib/site.py", "lib/inner -> site.py", "lib/outer -> ../python3.14", "lib/empty/")
	if err := os.Symlink("python3.14", filepath.Join(out, "python3")); err != nil {
		t.Fatal(err)
	}
	image := Image{Path: tree(t, out, "app.py", "bin/python3 -> OUT/python3", "bin/python -> python3",
		"lib -> OUT/lib", "lib64 -> lib", "none -> nothing", "round/back -> ../round/../app.py"),
		Command: someCommand, FollowsLinks: true}
	plain := image
	plain.FollowsLinks = false
	err := Check(t.Context(), plain)
	if err == nil || !strings.Contains(err.Error(), "bin/python3") || !strings.Contains(err.Error(), wayOut) {
		t.Errorf("without the setting the error is %v", err)
	}
	if err := Check(t.Context(), image); err != nil {
		t.Error(err)
	}
	i := newImages(t)
	digest, release, err := i.Acquire(t.Context(), image, "")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if err := os.RemoveAll(out); err != nil {
		t.Fatal(err)
	}
	dir := makeDirectory(t, i, digest)
	for name, want := range map[string]string{
		"app.py": "app.py", "bin/python3": "python3.14", "bin/python": "python3.14", "lib/site.py": "lib/site.py",
		"lib/inner": "lib/site.py", "lib/outer": "python3.14", "lib64/site.py": "lib/site.py", "round/back": "app.py",
	} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); string(got) != want {
			t.Errorf("%s holds %q, %v; want %q", name, got, err, want)
		}
	}
	for name, want := range map[string]string{"bin/python": "python3", "lib64": "lib", "lib/inner": "site.py"} {
		if got, err := os.Readlink(filepath.Join(dir, name)); got != want {
			t.Errorf("%s is a link to %q, %v; want %q", name, got, err, want)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "bin", "python3")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the interpreter is %v, %v", info, err)
	}
}

// A plan finds what a followed link cannot be replaced by, and so does the copy.
func TestLinkThatCannotBeFollowedIsRefused(t *testing.T) {
	t.Parallel()
	out := tree(t, "", "one", "two", "dir/three")
	pipe := filepath.Join(out, "pipe")
	up := filepath.Join(out, "dir", "up")
	if err := errors.Join(syscall.Mkfifo(pipe, 0o600), os.Symlink(out, up)); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct{ link, says string }{
		"a link to nothing":          {"l -> OUT/missing", `link "l" to`},
		"a link to a pipe":           {"l -> OUT/pipe", "neither a file nor a directory"},
		"a link to what contains it": {"l -> OUT/..", "contains the link itself"},
		"a loop through a directory": {"l -> OUT", "contains the link itself"},
		"a loop of links":            {"l -> l", `link "l"`},
		"too many entries":           {"a/l -> OUT/one", "at most 2 entries"},
		"too many bytes":             {"l -> OUT/large", "at most 8 bytes"},
	}
	large := filepath.Join(out, "large")
	if err := os.WriteFile(large, make([]byte, 9), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, c := range cases {
		image := Image{Path: tree(t, out, "run", c.link), Command: someCommand, FollowsLinks: true}
		i := newImages(t)
		i.limits.bytes = 100
		switch what {
		case "too many entries":
			i.limits.entries = 2
		case "too many bytes":
			i.limits.bytes = 8
		}
		_, _, copied := i.Acquire(t.Context(), image, "")
		checked := newCopier(t.Context(), nil, image, directoryKind, i.limits).checkTree(image.Path)
		for when, err := range map[string]error{"copied": copied, "checked": checked} {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s, %s: got %v, want %q", what, when, err, c.says)
			}
		}
		if left, err := os.ReadDir(i.dir); err != nil || len(left) != 0 {
			t.Errorf("%s: left are %v, %v", what, left, err)
		}
	}
}

// A link whose text stays inside can leave the directory through another link.
func TestLinkThroughAnotherLinkNamesTheWayOut(t *testing.T) {
	t.Parallel()
	image := Image{Path: tree(t, "", "a/b/", "a/b/up -> ../..", "l -> a/b/up/../x"), Command: someCommand}
	err := Check(t.Context(), image)
	if err == nil || !strings.Contains(err.Error(), `link "l"`) || !strings.Contains(err.Error(), wayOut) {
		t.Errorf("got %v", err)
	}
	image.FollowsLinks = true
	if err := Check(t.Context(), image); err == nil || !strings.Contains(err.Error(), "cannot be followed") {
		t.Errorf("followed: %v", err)
	}
}
