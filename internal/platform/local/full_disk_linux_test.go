// SPDX-License-Identifier: MPL-2.0

package local_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// smallDiskVariable names the file system of a test that runs on a disk of its own.
const smallDiskVariable = "BLUEGREEN_TEST_SMALL_DISK"

// onSmallDisk runs the test again in a process whose temporary files are on a small file system of
// their own, and reports whether this process is that one. options are those of the file system, see
// tmpfs(5). Nobody else sees it, and it ends with its last process.
func onSmallDisk(t *testing.T, options string) bool {
	t.Helper()
	if disk := os.Getenv(smallDiskVariable); disk != "" {
		mount := func(source, target, kind string, flags uintptr, data string) {
			t.Helper()
			if err := syscall.Mount(source, target, kind, flags, data); err != nil {
				t.Fatalf("mounting %s: %v", target, err)
			}
		}
		mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
		mount("tmpfs", disk, "tmpfs", 0, "mode=0700,"+options)
		t.Setenv("TMPDIR", disk)
		return true
	}
	again := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	again.Env = append(os.Environ(), smallDiskVariable+"="+t.TempDir())
	again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		again.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		again.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		again.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	output, err := again.CombinedOutput()
	t.Logf("%s", output)
	if err != nil {
		t.Error(err)
	}
	return false
}

// fillDisk leaves no byte on the disk of the service. free gives all of it back.
func (s *service) fillDisk() (free func()) {
	s.Helper()
	path := filepath.Join(filepath.Dir(s.dir), "fill")
	file, err := os.Create(path)
	s.must(err)
	defer file.Close()
	for chunk := 1 << 20; chunk > 0; chunk /= 2 {
		for err = nil; err == nil; {
			_, err = file.Write(make([]byte, chunk))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			s.Fatalf("filling the disk: %v", err)
		}
	}
	return func() { s.must(os.Remove(path)) }
}

// fillNames leaves no room for another file on the disk of the service, whatever its size. free gives
// all of it back.
func (s *service) fillNames() (free func()) {
	s.Helper()
	dir := filepath.Join(filepath.Dir(s.dir), "fill")
	s.must(os.Mkdir(dir, 0o700))
	var err error
	for number := 0; err == nil; number++ {
		err = os.WriteFile(filepath.Join(dir, strconv.Itoa(number)), nil, 0o600)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		s.Fatalf("filling the disk: %v", err)
	}
	return func() { s.must(os.RemoveAll(dir)) }
}

func TestFullDisk(t *testing.T) {
	if onSmallDisk(t, "size=16m") {
		testFullDisk(t, (*service).fillDisk)
	}
}

// A disk may have room for bytes, and none for another file.
func TestDiskWithoutInodes(t *testing.T) {
	if onSmallDisk(t, "size=16m,nr_inodes=1000") {
		testFullDisk(t, (*service).fillNames)
	}
}

// testFullDisk is the test of a disk that fill fills. Everything that runs goes on, replicas that die
// come back, and a rollback and a destroy work. A deploy changes nothing, and says what is the
// matter.
func testFullDisk(t *testing.T, fill func(*service) (free func())) {
	t.Helper()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 2)
	s.deployLive("2.0.0", 2)
	third := agenttest.Release(t, "3.0.0", agenttest.Healthy)
	third.Image = filepath.Join(s.dir, "large")
	s.must(os.Mkdir(third.Image, 0o700))
	s.must(os.WriteFile(filepath.Join(third.Image, "version.txt"), []byte(strings.Repeat("3", 1<<20)), 0o600))
	free := fill(s)

	for _, instance := range s.instances(bluegreen.Blue) {
		s.crash(instance)
	}
	s.awaitAllRun(bluegreen.Blue)
	s.expectVersion("2.0.0")
	before := s.runs(bluegreen.Blue)
	for _, end := range []func(testing.TB, string){agenttest.Kill, agenttest.Stop} {
		end(t, s.dir)
		s.ensureAgent()
		s.expectVersion("2.0.0")
	}
	if got := s.runs(bluegreen.Blue); strings.Join(got, " ") != strings.Join(before, " ") {
		t.Errorf("after restarts of the agent %q run, and before %q", got, before)
	}

	for range 3 {
		if err := s.DeployAndSwitch(t.Context(), third); !errors.Is(err, bluegreen.ErrNoSpace) {
			t.Errorf("a deploy on a full disk: %v", err)
		}
	}
	s.expectVersion("2.0.0")
	s.must(s.Rollback(t.Context(), "2.0.0 is bad"))
	s.expectVersion("1.0.0")
	s.must(s.Scale(t.Context(), 1))
	s.must(s.Destroy(t.Context()))
	if left, err := os.ReadDir(filepath.Join(s.dir, "deployments")); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	free()
	s.deployLive("4.0.0", 1)
}

// What was used of the reserve comes back after a rollback and after a scale too.
func TestReserveIsFilledAgainAfterEachOperation(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	s.deployLive("2.0.0", 1)
	pieces, err := filepath.Glob(filepath.Join(s.dir, "reserve", "*"))
	s.must(err)
	for what, operation := range map[string]func() error{
		"a scale":    func() error { return s.Scale(t.Context(), 2) },
		"a rollback": func() error { return s.Rollback(t.Context(), "to see the reserve") },
	} {
		// As a write on a full disk does.
		s.must(os.Remove(pieces[0]))
		s.must(operation())
		if _, err := os.Stat(pieces[0]); err != nil {
			t.Errorf("after %s: %v", what, err)
		}
	}
}

// awaitAllRun waits until all replicas of env run and answer.
func (s *service) awaitAllRun(env bluegreen.Environment) {
	s.Helper()
	agenttest.Eventually(s, func() error {
		for _, instance := range s.instances(env) {
			if !instance.Running {
				return errors.New(instance.ID + " does not run: " + instance.Exit)
			}
			if err := agenttest.Ask(s.Context(), s.platform, instance, "/"); err != nil {
				return err
			}
		}
		return nil
	})
}
