// SPDX-License-Identifier: MPL-2.0

package local_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// tear stops the agent, damages files of the deployment, and starts another agent.
func (s *service) tear(content string, paths ...string) {
	s.Helper()
	agenttest.Kill(s, s.dir)
	for _, path := range paths {
		s.must(os.WriteFile(filepath.Join(s.dir, "deployments", s.Deployment, path), []byte(content), 0o600))
	}
	s.ensureAgent()
}

// What the file of a process says is found with the process, so that the same processes serve.
func TestTornFilesOfProcessesAreFoundAgain(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 2)
	s.deployLive("2.0.0", 2)
	live, standby := s.runs(bluegreen.Blue), s.runs(bluegreen.Green)
	for _, content := range []string{"", `{"revi`} {
		s.tear(content, "blue/replicas/blue-1/process.json", "green/replicas/green-2/process.json")
		s.expectVersion("2.0.0")
		if got := s.runs(bluegreen.Blue); !slices.Equal(got, live) {
			t.Errorf("live are %q, and were %q", got, live)
		}
		if got := s.runs(bluegreen.Green); !slices.Equal(got, standby) {
			t.Errorf("the standby is %q, and was %q", got, standby)
		}
	}
	s.must(s.Rollback(t.Context(), "to see that the standby is one"))
	s.expectVersion("1.0.0")
}

// Nothing that a process with a torn file has left runs beside the replica that is started in its
// place: here the process has ended and its child has not.
func TestReplicaWithATornFileIsStartedAgain(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	const file = "green/replicas/green-1/process.json"
	s.removeControlGroupLater(file)
	agenttest.KillAll(t, s.dir)
	s.tear("", file)
	agenttest.Eventually(t, func() error {
		if s.running() != 1 {
			return errors.New("it is not started again")
		}
		return nil
	})
}

// What is no file in the place of one makes no agent wait, and what needs the file makes it again.
func TestWhatIsNoFileStopsNoOperation(t *testing.T) {
	t.Parallel()
	for kind, put := range map[string]func(path string) error{
		"a named pipe": func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a directory":  func(path string) error { return os.MkdirAll(filepath.Join(path, "in it"), 0o700) },
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := newService(t, local.Frontend{})
			s.deployLive("1.0.0", 1)
			s.deployLive("2.0.0", 1)
			agenttest.Kill(t, s.dir)
			for _, path := range []string{
				"blue/replicas/blue-1/process.json", "green/replicas/green-1/process.json", "green/workload.json",
				"upkeep.json", "unhealthy.json", "fingerprint-key.json",
			} {
				path = filepath.Join(s.dir, "deployments", s.Deployment, path)
				s.must(os.RemoveAll(path))
				s.must(put(path))
			}
			s.ensureAgent()
			s.expectVersion("2.0.0")
			s.deployLive("3.0.0", 1)
			s.must(s.Rollback(t.Context(), "to see that the standby is one"))
			s.expectVersion("2.0.0")
		})
	}
}

// removeControlGroupLater removes, after the test, the empty control group of a run that no agent
// knows once its file is torn. Agents do that when it is older.
func (s *service) removeControlGroupLater(path string) {
	s.Helper()
	content, err := os.ReadFile(filepath.Join(s.dir, "deployments", s.Deployment, path))
	s.must(err)
	var run struct {
		Group []string `json:"control_group"`
	}
	s.must(json.Unmarshal(content, &run))
	s.Cleanup(func() {
		for _, dir := range run.Group {
			if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
				s.Error(err)
			}
		}
	})
}

// Live never waits for the files of the standby. Without them there is no rollback, and the reason
// is said; the next deploy makes a standby again.
func TestTornWorkloadOfTheStandbyLeavesLiveAlone(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	s.deployLive("2.0.0", 1)
	live := s.runs(bluegreen.Blue)
	s.tear(`{"sche`, "green/workload.json")
	s.expectVersion("2.0.0")
	if got := s.runs(bluegreen.Blue); !slices.Equal(got, live) {
		t.Errorf("live is %q, and was %q", got, live)
	}
	const reason = "workload.json cannot be used"
	if err := s.Rollback(t.Context(), "2.0.0 is bad"); err == nil || !strings.Contains(err.Error(), reason) {
		t.Errorf("the rollback: %v", err)
	}
	status, err := s.platform.Observe(t.Context())
	s.must(err)
	if blocked := status.RollbackBlocked(100); blocked == nil {
		t.Error("a rollback counts as available")
	}
	s.deployLive("3.0.0", 1)
	s.must(s.Rollback(t.Context(), "to see that there is a standby"))
	s.expectVersion("2.0.0")
}

// Any file of a deployment but its ledger and its history may be torn: live goes on with the same
// processes, a deploy works and says which file is lost, and so does a destroy.
func TestTornFilesStopNoOperation(t *testing.T) {
	t.Parallel()
	dir := agenttest.StateDir(t)
	var warnings []string
	s := open(t, local.Options{StateDir: dir, Name: "web", Warn: func(m string) { warnings = append(warnings, m) }})
	s.deployLive("0.0.1", 2)
	s.deployLive("0.0.2", 2)
	version := "0.0.2"
	tornFiles := []struct {
		path  string
		warns bool
		// stays is true for what the next deploy, which goes to the other environment, does not bring back.
		stays bool
	}{
		{"fingerprint-key.json", true, false}, {"upkeep.json", true, false}, {"unhealthy.json", false, false},
		{"STANDBY/workload.json", true, false}, {"LIVE/workload.json", true, true},
		{"LIVE/replicas/LIVE-1/process.json", false, false}, {"../../images/DIGEST.list", false, false},
		{"LIVE/targets.json", false, false}, {"STANDBY/targets.json", false, false},
	}
	var all []string
	for i, torn := range tornFiles {
		ledger, err := s.platform.Load(t.Context())
		s.must(err)
		live, digest := ledger.Live, ledger.Slot(ledger.Live).Release.ImageDigest
		path := strings.NewReplacer("LIVE", string(live), "STANDBY", string(ledger.Staging()),
			"DIGEST", strings.Replace(digest, ":", "-", 1)).Replace(torn.path)
		all = append(all, path)
		runs := s.incarnations(live)
		s.tear([]string{"", `{"sche`}[i%2], path)
		s.expectVersion(version)
		if got := s.incarnations(live); !slices.Equal(got, runs) {
			t.Errorf("%s: live is %q, and was %q", path, got, runs)
		}
		warnings, version = nil, fmt.Sprintf("1.0.%d", i)
		s.deployLive(version, 2)
		if text := strings.Join(warnings, "\n"); strings.Contains(text, filepath.Base(path)) != torn.warns {
			t.Errorf("%s: the deploy warns of %q", path, text)
		}
		warnings = nil
		s.ensureAgent()
		if len(warnings) > 0 != torn.stays {
			t.Errorf("%s: after the deploy it is warned of %q", path, warnings)
		}
	}
	s.must(s.Rollback(t.Context(), "to see that there is a standby"))
	s.tear("", all...)
	s.must(s.Destroy(t.Context()))
	if left, err := os.ReadDir(filepath.Join(dir, "deployments")); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

// incarnations lists the runs of the replicas in env.
func (s *service) incarnations(env bluegreen.Environment) (list []string) {
	s.Helper()
	for _, instance := range s.instances(env) {
		list = append(list, instance.Incarnation)
	}
	return list
}

// Live goes on with what runs although it is not known what should run. The next apply of the
// release tells it, and restarts nothing.
func TestTornWorkloadOfLiveLeavesItsProcessesAlone(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	release := s.deployLive("1.0.0", 2)
	live := s.incarnations(bluegreen.Green)
	s.tear("", "green/workload.json")
	s.expectVersion("1.0.0")
	if got := s.incarnations(bluegreen.Green); !slices.Equal(got, live) {
		t.Errorf("live is %q, and was %q", got, live)
	}
	if log := agenttest.Log(t, s.dir); !strings.Contains(log, "it is not known what should run") {
		t.Error("the log does not say it")
	}
	ledger, err := s.platform.Load(t.Context())
	s.must(err)
	release.ImageDigest = ledger.Slot(bluegreen.Green).Release.ImageDigest
	unlock, err := s.platform.Lock(t.Context(), "tester")
	s.must(err)
	if err := s.platform.Scale(t.Context(), bluegreen.Green, 2); !errors.Is(err, bluegreen.ErrNotProvisioned) {
		t.Errorf("scaling what is not known: %v", err)
	}
	_, err = s.platform.Provision(t.Context(), bluegreen.Green, release)
	unlock()
	s.must(err)
	if got := s.incarnations(bluegreen.Green); !slices.Equal(got, live) {
		t.Errorf("live is %q, and was %q", got, live)
	}
	before := s.runs(bluegreen.Green)
	s.crash(s.instances(bluegreen.Green)[0])
	s.awaitRestart(before)
}

// A replica that has died could not be started while it was not known what should run. The first
// repair that tells it starts the replica, and leaves the other one alone.
func TestRepairOfATornWorkloadOfLiveStartsWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	release := s.deployLive("1.0.0", 2)
	before := s.incarnations(bluegreen.Green)
	s.tear("", "green/workload.json")
	s.crash(s.instances(bluegreen.Green)[0])
	agenttest.Eventually(t, func() error {
		if log := agenttest.Log(t, s.dir); !strings.Contains(log, "replica cannot be started") {
			return errors.New("nothing has tried to start the replica")
		}
		return nil
	})
	ledger, err := s.platform.Load(t.Context())
	s.must(err)
	release.ImageDigest = ledger.Slot(bluegreen.Green).Release.ImageDigest
	unlock, err := s.platform.Lock(t.Context(), "tester")
	s.must(err)
	_, err = s.platform.Provision(t.Context(), bluegreen.Green, release)
	unlock()
	s.must(err)
	instances := s.instances(bluegreen.Green)
	if !instances[0].Running || instances[1].Incarnation != before[1] {
		t.Errorf("live is %v, and was %q", instances, before)
	}
}

// The process of a replica that a newer version has noted serves on. It is not started again in place
// of what that version knows of it, and the log says why. What the last version has noted has no
// schema, and is adopted.
func TestProcessNotedByAnotherVersion(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	const file = "green/replicas/green-1/process.json"
	intact, before := s.file(file), s.runs(bluegreen.Green)
	const schema = `"schema":1,`
	if !strings.Contains(intact, schema) {
		t.Fatalf("the file has no schema: %s", intact)
	}
	s.tear(strings.Replace(intact, schema, "", 1), file)
	if runs := s.runs(bluegreen.Green); !slices.Equal(runs, before) {
		t.Errorf("noted without a schema were %q, and now %q run", before, runs)
	}

	newer := strings.Replace(intact, schema, `"schema":99,`, 1)
	s.tear(newer, file)
	s.expectVersion("1.0.0")
	if runs := s.runs(bluegreen.Green); !slices.Equal(runs, before) {
		t.Errorf("noted by a newer version were %q, and now %q run", before, runs)
	}
	s.crash(s.instances(bluegreen.Green)[0])
	awaitLog(t, s.dir, "replica cannot be started")
	awaitLog(t, s.dir, file+" cannot be used: it was written by a newer version of the provider (schema 99;")
	if content := s.file(file); content != newer {
		t.Errorf("the file of the newer version is now %s", content)
	}
	s.tear(intact, file)
	agenttest.AwaitNoFailure(t, s.endpoint())
	s.expectVersion("1.0.0")
}
