// SPDX-License-Identifier: MPL-2.0

package local_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// ownUser and otherUser are no users of any machine.
var (
	ownUser   = local.Settings{User: "4000123", Group: "4000124"}
	otherUser = local.Settings{User: "4000125", Group: "4000126"}
)

// releaseOfUser returns a release that runs script as user and then serves version. The
// program is in its image: another user cannot reach the one of the tests.
func releaseOfUser(t testing.TB, version string, user local.Settings, script string) bluegreen.Release {
	t.Helper()
	release := agenttest.Release(t, version, agenttest.Healthy)
	program, err := os.Open(release.Command[0])
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	copied, err := os.OpenFile(filepath.Join(release.Image, "program"), os.O_CREATE|os.O_WRONLY, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(copied, program); err != nil || copied.Close() != nil {
		t.Fatal(err)
	}
	release.Command = []string{"/bin/sh", "-c", script + "\nexec ./program"}
	release.Settings = user
	return release
}

// A replica of another user works in its own directory, and reaches nothing of the agent and of
// other replicas. Only root can start it: without root, the deploy is refused before it changes
// anything.
func TestReplicaOfAnotherUserReachesItsOwnFilesOnly(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	other := s.pids()["replica"]
	script := fmt.Sprintf(`
echo "user $(id -u) $(id -g) in $(pwd)"
echo written > cache && echo "wrote $(cat cache)"
ls %[1]s 2>/dev/null && echo "sees the state directory"
cat %[1]s/agent.lock 2>/dev/null && echo "reads the state directory"
[ -e %[1]s/agent.sock ] && echo "finds the socket of the agent"
cat /proc/%[2]d/environ >/dev/null 2>&1 && echo "reads the environment of another replica"
echo again > /dev/stdout
echo over`, s.dir, other)
	release := releaseOfUser(t, "2.0.0", ownUser, script)
	if os.Geteuid() != 0 {
		err := s.DeployAndSwitch(t.Context(), release)
		var setting *local.SettingError
		if !errors.As(err, &setting) || setting.Setting != "user" {
			t.Errorf("the error is %v", err)
		}
		s.expectVersion("1.0.0")
		return
	}
	s.makeLive(release)
	instances := s.instances(bluegreen.Blue)
	lines, err := s.platform.Logs(t.Context(), instances[0], 20)
	s.must(err)
	got := strings.Join(lines, "\n")
	want := "user 4000123 4000124 in /run/bluegreen-replica\nwrote written\nagain\nover\n"
	if !strings.Contains(got+"\n", want) {
		t.Errorf("it wrote\n%s\nwant\n%s", got, want)
	}
	// A command of a health check has no more rights than the replica, whose files it may run.
	command := []string{"sh", "-c", "[ $(id -u) = 4000123 ] && cat cache"}
	if err := s.platform.Exec(t.Context(), instances[0], command); err != nil {
		t.Errorf("a command in the replica: %v", err)
	}
	s.requireHiddenFromOtherUser()
}

// requireHiddenFromOtherUser fails the test if a replica of otherUser can read the environment or
// the files of a live one.
func (s *service) requireHiddenFromOtherUser() {
	s.Helper()
	script := fmt.Sprintf(`
cat /proc/%[1]d/environ >/dev/null 2>&1 && echo "reads the environment of a replica"
ls /proc/%[1]d/cwd/ >/dev/null 2>&1 && echo "reads the files of a replica"
echo over`, s.pids()["replica"])
	s.makeLive(releaseOfUser(s.TB, "3.0.0", otherUser, script))
	lines, err := s.platform.Logs(s.Context(), s.instances(bluegreen.Green)[0], 20)
	s.must(err)
	if got := strings.Join(lines, "\n"); !strings.HasPrefix(got, "over\n") {
		s.Errorf("it wrote\n%s\nwant nothing before \"over\"", got)
	}
}
