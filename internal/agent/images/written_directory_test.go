// SPDX-License-Identifier: MPL-2.0

package images

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An existing directory is that of a replica that is started again.
func TestWhatAReplicaHasWrittenStays(t *testing.T) {
	t.Parallel()
	i := newImages(t)
	digest := acquire(t, i, newImage(t), "")
	dir := makeDirectory(t, i, digest)
	if err := os.WriteFile(filepath.Join(dir, "cache"), []byte("warm"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"before it is durable", "afterwards"} {
		if err := i.MakeDirectory(t.Context(), digest, dir, Nobody); err != nil {
			t.Fatal(err)
		}
		if content, err := os.ReadFile(filepath.Join(dir, "cache")); string(content) != "warm" {
			t.Errorf("%s the file holds %q, %v", when, content, err)
		}
		i.syncs.Wait()
	}
}

// A directory that was not on the disk when the machine failed may have empty files.
func TestDirectoryOfAFailedMachineIsMadeAgain(t *testing.T) {
	t.Parallel()
	i := newImages(t)
	digest := acquire(t, i, newImage(t), "")
	dir := makeDirectory(t, i, digest)
	i.syncs.Wait()
	if err := errors.Join(os.Truncate(filepath.Join(dir, "run"), 0), os.Remove(dir+durableSuffix)); err != nil {
		t.Fatal(err)
	}
	if err := i.MakeDirectory(t.Context(), digest, dir, Nobody); err != nil || digestAt(t, dir) != digest {
		t.Errorf("a replica gets another image, %v", err)
	}
}

// An agent may end before it has marked a directory. Its successor finds the replica running there.
func TestWhatAReplicaHasWrittenStaysIfItsAgentDies(t *testing.T) {
	t.Parallel()
	former := newImages(t)
	digest := acquire(t, former, newImage(t), "")
	dir := makeDirectory(t, former, digest)
	former.syncs.Wait()
	cache := filepath.Join(dir, "cache")
	if err := errors.Join(os.Remove(dir+durableSuffix), os.WriteFile(cache, []byte("warm"), 0o600)); err != nil {
		t.Fatal(err)
	}
	i, err := Open(former.dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.syncs.Wait)
	i.KeepDirectory(dir)
	for _, when := range []string{"before it is durable", "afterwards"} {
		if err := i.MakeDirectory(t.Context(), digest, dir, Nobody); err != nil {
			t.Fatal(err)
		}
		if content, err := os.ReadFile(cache); string(content) != "warm" {
			t.Errorf("%s the file holds %q, %v", when, content, err)
		}
		i.syncs.Wait()
	}
	if !exists(dir + durableSuffix) {
		t.Error("the directory has no mark")
	}
}

// A full disk may have no room for the mark. Here its name is too long.
func TestWhatAReplicaHasWrittenStaysWithoutAMark(t *testing.T) {
	t.Parallel()
	i := newImages(t)
	digest := acquire(t, i, newImage(t), "")
	dir := filepath.Join(t.TempDir(), strings.Repeat("w", 255-len(newSuffix)))
	cache := filepath.Join(dir, "cache")
	for restarts := range 3 {
		if err := i.MakeDirectory(t.Context(), digest, dir, Nobody); err != nil {
			t.Fatal(err)
		}
		i.syncs.Wait()
		if restarts > 0 && !exists(cache) {
			t.Error("what the replica has written is gone")
		}
		if err := os.WriteFile(cache, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
