// SPDX-License-Identifier: MPL-2.0

package process

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A replica of another user runs what is in its image, by a relative or an absolute path, also if
// nobody else may use the files that it makes, and a directory of the agent is closed to it.
func TestReplicaOfAnotherUserRunsTheProgramsOfItsImage(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]string{"relative": "./program", "absolute": View + "/program"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			usingMounts(t)
			if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir("/run/bluegreen", 0o700); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			copyProgram(t, "/bin/sh", filepath.Join(dir, "program"))
			if err := os.Chown(dir, 4000123, 4000124); err != nil {
				t.Fatal(err)
			}
			settings := Settings{User: "4000123", Group: "4000124", Umask: "077"}
			// The first one makes the directory View, and the second one finds it.
			for range 2 {
				log := newScreen()
				p := runProgram(t, settings, dir, []string{command, "-c", "id -u; pwd; umask"}, log)
				<-p.exited
				if want := "4000123\n" + View + "\n0077\n"; log.String() != want {
					t.Errorf("the replica has written %q, want %q; it ended with %s", log, want, p.exit)
				}
			}
		})
	}
}

// copyProgram copies an executable file, for everybody.
func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	source, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(target, source); err != nil {
		t.Fatal(err)
	}
	if err := target.Close(); err != nil {
		t.Fatal(err)
	}
}
