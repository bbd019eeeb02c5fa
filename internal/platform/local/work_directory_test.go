// SPDX-License-Identifier: MPL-2.0

//go:build unix

package local_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// What a replica writes beside itself stays its own. It changes neither what the other replica
// has, nor what a rollback brings back, nor a fresh deploy of the same image.
func TestWhatAReplicaWritesChangesNoOther(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	release := agenttest.Release(t, "1.0.0", agenttest.Healthy)
	release.Replicas = 2
	s.makeLive(release)
	write := func() {
		s.must(agenttest.Ask(t.Context(), s.platform, s.instances(bluegreen.Green)[0], "/write?written"))
	}
	write()
	s.expectReplicasServe(bluegreen.Green, "written", "1.0.0")

	before := s.runs(bluegreen.Green)
	s.crash(s.instances(bluegreen.Green)[0])
	s.awaitRestart(before)
	s.expectReplicasServe(bluegreen.Green, "written", "1.0.0")

	// The same image is deployed to blue, and then to green again.
	for _, version := range []string{"2.0.0", "3.0.0"} {
		release.Version = version
		s.must(s.DeployAndSwitch(t.Context(), release))
	}
	s.expectReplicasServe(bluegreen.Blue, "1.0.0", "1.0.0")
	s.expectReplicasServe(bluegreen.Green, "1.0.0", "1.0.0")
	write()
	s.must(s.Scale(t.Context(), 3))
	s.expectReplicasServe(bluegreen.Green, "written", "1.0.0", "1.0.0")
}

// An agent may end, or the disk may be full, before it is noted that the directory of a replica is
// complete. The next agent finds the replica running there, so that the directory is not made again
// when the replica dies.
func TestWhatAReplicaHasWrittenOutlivesItsAgent(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	s.must(agenttest.Ask(t.Context(), s.platform, s.instances(bluegreen.Green)[0], "/write?written"))
	var marks []string
	agenttest.Eventually(t, func() (err error) {
		marks, err = filepath.Glob(filepath.Join(s.dir, "deployments/web/green/replicas/green-1/work-*.durable"))
		if err == nil && len(marks) != 1 {
			err = fmt.Errorf("the marks are %q", marks)
		}
		return err
	})
	agenttest.Kill(t, s.dir)
	s.must(os.Remove(marks[0]))
	s.ensureAgent()
	before := s.runs(bluegreen.Green)
	s.crash(s.instances(bluegreen.Green)[0])
	s.awaitRestart(before)
	s.expectReplicasServe(bluegreen.Green, "written")
}

// A release makes a tree that is far deeper than the agent has descriptors. It is removed with its
// deployment, and the clients of another one are answered meanwhile.
func TestDeepTreeIsRemovedWithItsReplica(t *testing.T) {
	t.Parallel()
	dir := agenttest.StateDir(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	few := []string{"/bin/sh", "-c", `ulimit -n 200 && exec "$0" agent "$@"`, self}
	other := open(t, local.Options{StateDir: dir, Name: "other", AgentCommand: few})
	other.deployLive("1.0.0", 1)
	s := open(t, local.Options{StateDir: dir, Name: "web", AgentCommand: few})
	s.deployLive("1.0.0", 1)
	answer, err := ask(t.Context(), s.endpoint()+"/deepen?3000")
	if err != nil || answer != "3000 levels" {
		t.Fatalf("the replica answers %q, %v", answer, err)
	}
	load := startLoad(t, other.endpoint())
	s.must(s.Destroy(t.Context()))
	load.awaitAnswer()
	if answers := load.stop(); load.failed.Load() > 0 || len(answers) != 1 || answers["1.0.0"] == 0 {
		t.Errorf("clients of the other deployment got %v, and %d failures", answers, load.failed.Load())
	}
	if left, err := os.ReadDir(filepath.Join(dir, "deployments")); err != nil || len(left) != 1 {
		t.Errorf("left are %v, %v", left, err)
	}
	s.must(other.Destroy(t.Context()))
}

// An agent that is killed while it removes a replica leaves a part of its directory. Another replica
// with the same number does not work there.
func TestPartOfADirectoryIsNoDirectoryOfAReplica(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 2)
	work, err := filepath.Glob(filepath.Join(s.dir, "deployments/web/green/replicas/green-2/work-*[^e]"))
	s.must(err)
	s.must(s.Scale(t.Context(), 1))
	for _, left := range work {
		s.must(os.MkdirAll(left, 0o700))
		s.must(os.WriteFile(left+".durable", nil, 0o600))
	}
	s.must(s.Scale(t.Context(), 2))
	s.expectReplicasServe(bluegreen.Green, "1.0.0", "1.0.0")
}

// The replicas of a release that an earlier version has deployed all work in the copy of the image.
// They go on there until the next deploy.
func TestReleaseOfAnEarlierVersionGoesOn(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	release := s.deployLive("1.0.0", 2)
	agenttest.Stop(t, s.dir)
	path := filepath.Join(s.dir, "deployments", "web", "green", "workload.json")
	var workload map[string]any
	s.must(json.Unmarshal([]byte(s.file("green", "workload.json")), &workload))
	digest, _ := workload["digest"].(string)
	workload["dir"] = filepath.Join(s.dir, "images", strings.Replace(digest, ":", "-", 1))
	content, err := json.Marshal(workload)
	s.must(err)
	s.must(os.WriteFile(path, content, 0o600))
	agenttest.KillAll(t, s.dir)
	s.ensureAgent()
	s.expectReplicasServe(bluegreen.Green, "1.0.0", "1.0.0")
	s.must(agenttest.Ask(t.Context(), s.platform, s.instances(bluegreen.Green)[0], "/write?written"))
	s.expectReplicasServe(bluegreen.Green, "written", "written")
	release.Version = "2.0.0"
	s.must(s.DeployAndSwitch(t.Context(), release))
	s.expectReplicasServe(bluegreen.Blue, "1.0.0", "1.0.0")
	s.must(s.Rollback(t.Context(), "to see that it still serves"))
}

// expectReplicasServe compares what each replica in env answers, whatever the order.
func (s *service) expectReplicasServe(env bluegreen.Environment, want ...string) {
	s.Helper()
	var got []string
	agenttest.Eventually(s, func() error {
		got = nil
		for _, instance := range s.instances(env) {
			client := &http.Client{Transport: &http.Transport{
				DisableKeepAlives: true,
				DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
					return s.platform.Dial(ctx, instance)
				},
			}}
			response, err := client.Get("http://replica/")
			if err != nil {
				return err
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				return err
			}
			got = append(got, string(body))
		}
		return nil
	})
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		s.Errorf("the replicas of %s serve %q, want %q", env, got, want)
	}
}
