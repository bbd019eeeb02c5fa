// SPDX-License-Identifier: MPL-2.0

package images

import (
	"archive/tar"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// imageDigest is what version 0.1.0-dev gave the image of newImage.
const imageDigest = "sha256:89ae89343304d8155a8ec62abdbfbbb9612628415dac113347228bc538134aa3"

// newImage returns a directory with files of several modes, names and kinds.
func newImage(t *testing.T) string {
	t.Helper()
	image := t.TempDir()
	deep := filepath.Join(image, "lib", `a "b"`)
	text, run := filepath.Join(deep, "täxt"), filepath.Join(image, "run")
	for _, err := range []error{
		os.MkdirAll(deep, 0o755), os.Chmod(filepath.Join(image, "lib"), 0o750), os.Chmod(deep, 0o755),
		os.WriteFile(text, []byte("text"), 0o640), os.Chmod(text, 0o640),
		os.WriteFile(run, []byte("program"), 0o755), os.Chmod(run, 0o755),
		os.Symlink("lib/none", filepath.Join(image, "link")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return image
}

// acquire copies an image, which stays copied for as long as the test runs.
func acquire(t testing.TB, i *Store, path, digest string) string {
	t.Helper()
	digest, release, err := i.Acquire(t.Context(), Image{Path: path, Command: someCommand}, digest)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return digest
}

// makeDirectory makes the directory of a replica and returns its path.
func makeDirectory(t testing.TB, i *Store, digest string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "work")
	t.Cleanup(i.syncs.Wait)
	if err := i.MakeDirectory(t.Context(), digest, dir, Nobody); err != nil {
		t.Fatal(err)
	}
	return dir
}

// digestAt is the digest of what is at dir.
func digestAt(t *testing.T, dir string) string {
	t.Helper()
	all, err := list(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return digestOf(all.text())
}

// The digest is that of the version before, or every plan would change. Nobody can write to the
// copy by accident, and each replica gets the files as the image has them.
func TestReplicasGetTheImageAndTheCopyIsReadOnly(t *testing.T) {
	t.Parallel()
	i := newImages(t)
	digest := acquire(t, i, newImage(t), "")
	if digest != imageDigest {
		t.Fatalf("the digest is %s, and was %s", digest, imageDigest)
	}
	err := filepath.WalkDir(i.Path(digest), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type() == fs.ModeSymlink {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o222 != 0 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	first, second := makeDirectory(t, i, digest), makeDirectory(t, i, digest)
	for _, dir := range []string{first, second} {
		if got := digestAt(t, dir); got != digest {
			t.Errorf("a replica gets %s, and the image is %s", got, digest)
		}
	}
	if err := os.WriteFile(filepath.Join(first, "run"), []byte("written"), 0o755); err != nil {
		t.Fatal(err)
	}
	if digestAt(t, second) != digest || i.verify(t.Context(), digest) != nil {
		t.Error("what a replica writes changes what others have")
	}
}

// changes are what may happen to a copy, and what the error then names.
var changes = map[string]struct {
	change func(dir string) error
	names  string
}{
	"a file is written to": {func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "run"), []byte("progrem"), 0o755)
	}, `"run"`},
	"a file is removed": {func(dir string) error { return os.Remove(filepath.Join(dir, "lib", `a "b"`, "täxt")) },
		`a \"b\"/täxt`},
	"a link leads elsewhere": {func(dir string) error {
		link := filepath.Join(dir, "link")
		return errors.Join(os.Remove(link), os.Symlink("/etc/passwd", link))
	}, `"link"`},
	"a file has become a link": {func(dir string) error {
		run := filepath.Join(dir, "run")
		return errors.Join(os.Remove(run), os.Symlink("lib", run))
	}, `"run"`},
	"its list is another": {func(dir string) error {
		return os.WriteFile(dir+listingSuffix, []byte(`"run" -rwxr-xr-x 00`+"\n"), 0o600)
	}, "is not its list"},
	"a file of a copy of the version before": {func(dir string) error {
		return errors.Join(os.Remove(dir+listingSuffix), os.Chmod(filepath.Join(dir, "run"), 0o700))
	}, "has been changed"},
}

// A copy that has changed is never used: it is made again from the image, and if the image is
// another by now, the error says what has changed.
func TestChangedCopyIsMadeAgainOrRefused(t *testing.T) {
	t.Parallel()
	for what, c := range changes {
		t.Run(strings.ReplaceAll(what, " ", "_"), func(t *testing.T) {
			t.Parallel()
			i, image := newImages(t), newImage(t)
			digest := acquire(t, i, image, "")
			dir := filepath.Join(t.TempDir(), "work")
			expectRefusal := func(err error) {
				t.Helper()
				var changed *ChangedError
				if !errors.As(err, &changed) || changed.Digest != digest || !strings.Contains(err.Error(), c.names) {
					t.Errorf("got %v, want an error that names %s", err, c.names)
				}
			}
			damage := func() {
				t.Helper()
				err := filepath.WalkDir(i.Path(digest), func(path string, entry fs.DirEntry, err error) error {
					if err == nil && entry.Type() != fs.ModeSymlink {
						err = os.Chmod(path, 0o755)
					}
					return err
				})
				if err := errors.Join(err, c.change(i.Path(digest))); err != nil {
					t.Fatal(err)
				}
			}
			damage()
			expectRefusal(i.MakeDirectory(t.Context(), digest, dir, Nobody))
			if left, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(left) > 0 {
				t.Errorf("left are %v, %v", left, err)
			}
			acquire(t, i, image, digest)
			if err := i.verify(t.Context(), digest); err != nil {
				t.Errorf("made again: %v", err)
			}
			damage()
			acquire(t, i, image, "")
			if err := i.verify(t.Context(), digest); err != nil {
				t.Errorf("made again by a new deploy: %v", err)
			}
			damage()
			if err := os.WriteFile(filepath.Join(image, "run"), []byte("another"), 0o755); err != nil {
				t.Fatal(err)
			}
			_, _, err := i.Acquire(t.Context(), Image{Path: image, Command: someCommand}, digest)
			expectRefusal(err)
		})
	}
}

// A copy that an earlier version stored has no list and the modes of the image.
func TestCopyOfAnEarlierVersionIsAccepted(t *testing.T) {
	t.Parallel()
	i := newImages(t)
	if err := os.Rename(newImage(t), i.Path(imageDigest)); err != nil {
		t.Fatal(err)
	}
	acquire(t, i, "/nowhere", imageDigest)
	if got := digestAt(t, makeDirectory(t, i, imageDigest)); got != imageDigest {
		t.Errorf("a replica gets %s", got)
	}
}

func TestCollectedCopyLeavesNothing(t *testing.T) {
	t.Parallel()
	i := newImages(t)
	digest, release, err := i.Acquire(t.Context(), Image{Path: newImage(t), Command: someCommand}, "")
	if err != nil {
		t.Fatal(err)
	}
	release()
	unused := func() (map[string]bool, error) { return map[string]bool{}, nil }
	if err := i.Collect(t.Context(), unused); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(i.dir); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	if err := i.MakeDirectory(t.Context(), digest, filepath.Join(t.TempDir(), "work"), Nobody); err == nil {
		t.Error("a replica gets a copy that is gone")
	}
}

// Deployments that are created at the same time may have the same image. None of them takes away
// the copy from which another one makes its replicas.
func TestSameImageAtOnceIsPlacedOnce(t *testing.T) {
	t.Parallel()
	i := newImages(t)
	image := Image{Path: newImage(t), Command: someCommand}
	var all sync.WaitGroup
	start := make(chan struct{})
	for range 8 {
		all.Go(func() {
			<-start
			if _, _, err := i.Acquire(t.Context(), image, ""); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	all.Wait()
	left, err := os.ReadDir(i.dir)
	if err != nil || len(left) != 2 {
		t.Errorf("want a copy and its listing, and there are %v, %v", left, err)
	}
}

// One entry whose path is 20,000 directories deep is refused before anything is made.
func TestDepthAndCountOfDirectoriesAreBounded(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("d/", 20_000) + "f"
	cases := map[string]struct {
		entries []tar.Header
		says    string
	}{
		"a very deep entry": {[]tar.Header{anEntry(tar.TypeReg, deep, "")}, "too long"},
		"a deep entry": {[]tar.Header{anEntry(tar.TypeReg, strings.Repeat("d/", 100)+"f", "")},
			"at most 100 levels of directories"},
		"a long name": {[]tar.Header{anEntry(tar.TypeReg, strings.Repeat("n", 3000), "")}, "has 3000 bytes"},
		"many parents": {[]tar.Header{
			anEntry(tar.TypeReg, "a/b/c/d/1", ""), anEntry(tar.TypeReg, "e/f/g/h/2", ""),
		}, "at most 8 entries"},
	}
	for what, c := range cases {
		i := newImages(t)
		i.limits.entries = 8
		_, _, err := i.Acquire(t.Context(), Image{Path: archiveOf(t, c.entries...), Command: someCommand}, "")
		if err == nil || !strings.Contains(err.Error(), c.says) || len(err.Error()) > 1000 {
			t.Errorf("%s: got %.1000v", what, err)
		}
	}
}

// Whatever is going on, the end of the context ends it.
func TestEverythingThatTakesLongCanBeCancelled(t *testing.T) {
	t.Parallel()
	i, image := newImages(t), newImage(t)
	digest := acquire(t, i, image, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	root, err := os.OpenRoot(image)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for what, err := range map[string]error{
		"verifying":          i.verify(ctx, digest),
		"making a directory": i.MakeDirectory(ctx, digest, filepath.Join(t.TempDir(), "work"), Nobody),
		"listing":            second(list(ctx, image)),
		"looking at links":   newCopier(ctx, root, Image{}, directoryKind, defaultLimits).checkLinks(root),
		"protecting":         listing{{name: "run"}}.protect(ctx, t.TempDir()),
		"copying a file":     copyContent(ctx, openFile(t, "a"), openFile(t, "b")),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// openFile returns a file that is larger than what is copied at once.
func openFile(t *testing.T, name string) *os.File {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	if err := file.Truncate(copyChunk + 1); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestLinesOfAListAreReadBack(t *testing.T) {
	t.Parallel()
	want, err := list(t.Context(), newImage(t))
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseListing(want.text())
	if err != nil || string(got.text()) != string(want.text()) {
		t.Errorf("read are %v, %v; written were %v", got, err, want)
	}
	for _, line := range []string{`run`, `"run"`, `"run" -rwxr-xr-x`, `"../run" -rwxr-xr-x 00`, `"run" prw-r--r-- 00`} {
		if got, err := parseListing([]byte(line)); err == nil {
			t.Errorf("%s is read as %v", line, got)
		}
	}
}

// BenchmarkLargeImage copies a directory of 1 GB, and makes the directories of two replicas.
func BenchmarkLargeImage(b *testing.B) {
	image := b.TempDir()
	content := make([]byte, 1<<20)
	for n := range 1000 {
		dir := filepath.Join(image, strconv.Itoa(n%50))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		rand.Read(content)
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(n)), content, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		i := newImages(b)
		began := time.Now()
		digest := acquire(b, i, image, "")
		b.ReportMetric(time.Since(began).Seconds(), "s/copy")
		began = time.Now()
		makeDirectory(b, i, digest)
		b.ReportMetric(time.Since(began).Seconds(), "s/replica")
		began = time.Now()
		if err := i.verify(b.Context(), digest); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(began).Seconds(), "s/verification")
	}
}
