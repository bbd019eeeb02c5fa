// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// outlasting is a replica that does not end on its stop signal, SIGQUIT, and writes the time to the
// file "asked" of a directory from then on.
const outlasting = `trap 'while :; do date +%%s%%N >>%s/asked; sleep 0.05; done' QUIT
./replica & while :; do wait; done`

// What the configuration says about the processes of a release is what the system says about them.
func TestProcessesHaveTheSettingsOfTheConfiguration(t *testing.T) {
	t.Parallel()
	limits := local.Settings{User: "nobody", Memory: 256 << 20, CPUs: 0.5}
	if err := limits.Check(); err != nil {
		if os.Getenv("BLUEGREEN_REQUIRE_CONTROL_GROUPS") != "" {
			t.Fatal(err)
		}
		t.Skipf("this machine cannot limit processes: %v", err)
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	h := newLocalHarness(t)
	image, shared := h.imageForAnyone(), sharedDir(t)
	limited := attributes{
		"image":   fmt.Sprintf("%q", image),
		"command": `["/bin/sh", "-c", ` + fmt.Sprintf("%q", fmt.Sprintf(outlasting, shared)) + `]`,
		"local": `{
			user = "nobody", group = "0", umask = "027", memory = "256m", cpus = 0.5
			stop_signal = "SIGQUIT", stop_timeout = "300ms"
		}`,
	}
	privileged := attributes{
		"image": fmt.Sprintf("%q", image), "command": `["replica"]`, "local": `{ no_new_privileges = false }`,
		"standby": `"remove"`,
	}
	var replica string
	h.run(
		resource.TestStep{
			Config:            h.config(version("1.0.0"), limited),
			ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
		},
		resource.TestStep{
			PreConfig: func() {
				replica = h.replicaPID()
				mustHaveStatus(t, replica, map[string]string{
					"Uid": nobody.Uid, "Gid": "0", "Umask": "0027", "NoNewPrivs": "1",
				})
				mustHaveVariables(t, replica, "HOME="+nobody.HomeDir, "USER=nobody", "LOGNAME=nobody")
				mustHaveLimit(t, replica, "memory", "memory.max", "memory.limit_in_bytes", "268435456")
				mustHaveLimit(t, replica, "cpu", "cpu.max", "cpu.cfs_quota_us", "50000")
			},
			Config:            h.config(version("2.0.0"), privileged),
			ConfigStateChecks: []statecheck.StateCheck{h.live("2.0.0")},
		},
		resource.TestStep{
			PreConfig: func() {
				if _, err := os.Stat("/proc/" + replica); !os.IsNotExist(err) {
					t.Errorf("the replica of 1.0.0 is left: %v", err)
				}
				mustHaveStopped(t, shared)
				mustHaveStatus(t, h.replicaPID(), map[string]string{
					"Uid": strconv.Itoa(os.Geteuid()), "NoNewPrivs": "0",
				})
			},
			Config: h.config(version("2.0.0"), privileged),
		},
	)
}

// imageForAnyone returns a directory with the program of the tests, which any user may run.
func (h localHarness) imageForAnyone() string {
	h.t.Helper()
	program, err := replicaProgram()
	if err != nil {
		h.t.Fatal(err)
	}
	source, err := os.Open(program)
	if err != nil {
		h.t.Fatal(err)
	}
	defer source.Close()
	dir := h.t.TempDir()
	target, err := os.OpenFile(filepath.Join(dir, "replica"), os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := io.Copy(target, source); err != nil {
		h.t.Fatal(err)
	}
	if err := target.Close(); err != nil {
		h.t.Fatal(err)
	}
	return dir
}

// sharedDir returns a directory that every user can write to.
func sharedDir(t *testing.T) string {
	t.Helper()
	// Only the owner may be able to enter $TMPDIR and the directories of t.TempDir.
	dir, err := os.MkdirTemp("/tmp", "bgs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// replicaPID returns the process of the only replica.
func (h localHarness) replicaPID() string {
	h.t.Helper()
	files, err := filepath.Glob(filepath.Join(h.stateDir, "deployments", h.name, "*", "replicas", "*", "process.json"))
	if err != nil || len(files) != 1 {
		h.t.Fatalf("the replicas are %q, %v", files, err)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		h.t.Fatal(err)
	}
	var state struct{ PID int }
	if err := json.Unmarshal(content, &state); err != nil || state.PID == 0 {
		h.t.Fatalf("%s is %q, %v", files[0], content, err)
	}
	return strconv.Itoa(state.PID)
}

// mustHaveStatus checks the first value of fields of /proc/PID/status.
func mustHaveStatus(t *testing.T, pid string, want map[string]string) {
	t.Helper()
	content, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		name, values, _ := strings.Cut(line, ":")
		wanted, ok := want[name]
		if first := strings.Fields(values); ok && (len(first) == 0 || first[0] != wanted) {
			t.Errorf("%s of the replica is %s, want %s", name, strings.TrimSpace(values), wanted)
		}
	}
}

func mustHaveVariables(t *testing.T, pid string, want ...string) {
	t.Helper()
	environ, err := os.ReadFile("/proc/" + pid + "/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, variable := range want {
		if !strings.Contains("\x00"+string(environ), "\x00"+variable+"\x00") {
			t.Errorf("the replica has not %s, but %q", variable, environ)
		}
	}
}

// mustHaveLimit checks the limit that the control group of a process has, in version 2, or in the
// hierarchy of the controller in version 1.
func mustHaveLimit(t *testing.T, pid, controller, file, file1, want string) {
	t.Helper()
	groups, err := os.ReadFile("/proc/" + pid + "/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(groups)) {
		group := strings.SplitN(strings.TrimSpace(line), ":", 3)[2]
		for _, path := range []string{
			filepath.Join("/sys/fs/cgroup", group, file), filepath.Join("/sys/fs/cgroup", controller, group, file1),
		} {
			content, err := os.ReadFile(path)
			if err != nil || !strings.Contains(group, "bluegreen-") {
				continue
			}
			if got := strings.Fields(string(content)); len(got) == 0 || got[0] != want {
				t.Errorf("%s is %q, want %s", path, content, want)
			}
			return
		}
	}
	t.Errorf("the replica has no limit of %s: its groups are\n%s", controller, groups)
}

// mustHaveStopped checks that a replica that is outlasting got its stop signal, and did not live for
// the default time after it.
func mustHaveStopped(t *testing.T, dir string) {
	t.Helper()
	file, err := os.Open(filepath.Join(dir, "asked"))
	if err != nil {
		t.Fatalf("it did not get its stop signal: %v", err)
	}
	defer file.Close()
	var times []int64
	for lines := bufio.NewScanner(file); lines.Scan(); {
		nanoseconds, err := strconv.ParseInt(lines.Text(), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, nanoseconds)
	}
	if len(times) == 0 {
		t.Fatal("it did not write a time")
	}
	if lived := time.Duration(times[len(times)-1] - times[0]); lived > 8*time.Second {
		t.Errorf("it lived for %s after its stop signal", lived)
	}
}
