// SPDX-License-Identifier: MPL-2.0

//go:build unix

package local_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// service is a deployment under test, and whoever operates it.
type service struct {
	testing.TB
	dir      string
	platform *local.Platform
	*bluegreen.Deployer
}

// newService returns a deployment of local in a state directory of its own. It
// is destroyed when the test is over.
func newService(t testing.TB, front local.Frontend) *service {
	t.Helper()
	return newServiceIn(t, agenttest.StateDir(t), "web", front)
}

func newServiceIn(t testing.TB, dir, name string, front local.Frontend) *service {
	t.Helper()
	s := open(t, local.Options{StateDir: dir, Name: name, Frontend: front})
	t.Cleanup(func() {
		if err := s.Destroy(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("destroying after the test: %v", err)
		}
	})
	return s
}

func open(t testing.TB, opts local.Options) *service {
	t.Helper()
	platform, err := local.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	checker, err := health.New(health.Config{Interval: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return &service{t, opts.StateDir, platform, bluegreen.NewDeployer(opts.Name, platform, checker, "tester@host (pid 1)")}
}

// live brings a healthy release live and returns it.
func (s *service) live(version string, replicas int) bluegreen.Release {
	s.Helper()
	release := agenttest.Release(s, version, agenttest.Healthy)
	release.Replicas = replicas
	s.bring(release)
	return release
}

func (s *service) bring(release bluegreen.Release) {
	s.Helper()
	var err error
	if _, found := s.platform.Load(s.Context()); found != nil {
		_, err = s.Create(s.Context(), bluegreen.Desired{Release: release, Promote: true, KeepStandby: true, MinHealthyPercent: 100})
	} else {
		err = s.DeployAndSwitch(s.Context(), release)
	}
	s.must(err)
	s.serves(release.Version)
}

func (s *service) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *service) endpoint() string {
	s.Helper()
	status, err := s.platform.Observe(s.Context())
	s.must(err)
	return status.Endpoint
}

// running is how many replicas of env are said to run.
func (s *service) running(env bluegreen.Environment) int {
	s.Helper()
	status, err := s.platform.Observe(s.Context())
	s.must(err)
	return status.Running[env]
}

func (s *service) preview() string {
	s.Helper()
	status, err := s.platform.Observe(s.Context())
	s.must(err)
	return status.Preview
}

// serves fails the test unless a client is answered with version.
func (s *service) serves(version string) {
	s.Helper()
	if status, body := get(s, s.endpoint()); status != http.StatusOK || body != version {
		s.Fatalf("a client is answered %d %q, want %q", status, body, version)
	}
}

func (s *service) instances(env bluegreen.Environment) []bluegreen.Instance {
	s.Helper()
	instances, err := s.platform.Instances(s.Context(), env)
	s.must(err)
	return instances
}

// runs lists the replicas in env and the run of each, which all must answer.
func (s *service) runs(env bluegreen.Environment) []string {
	s.Helper()
	var runs []string
	for _, instance := range s.instances(env) {
		s.must(s.platform.Exec(s.Context(), instance, []string{"true"}))
		runs = append(runs, instance.ID+" "+instance.Incarnation)
	}
	slices.Sort(runs)
	return runs
}

// file is the content of a file in the deployment's directory.
func (s *service) file(path ...string) string {
	s.Helper()
	content, err := os.ReadFile(filepath.Join(append([]string{s.dir, "deployments", s.Deployment}, path...)...))
	s.must(err)
	return string(content)
}

// hanging is a request that has begun to be answered and waits for its client.
type hanging struct {
	response *http.Response
	body     *io.PipeWriter
}

// hang begins a request that ends when the client wants.
func (s *service) hang() *hanging {
	s.Helper()
	reader, writer := io.Pipe()
	request, err := http.NewRequestWithContext(s.Context(), http.MethodPost, s.endpoint()+"/hang", reader)
	s.must(err)
	response, err := client.Do(request)
	s.must(err)
	s.Cleanup(func() {
		_ = writer.Close()
		response.Body.Close()
	})
	line := make([]byte, len("begun\n"))
	if _, err := io.ReadFull(response.Body, line); err != nil || string(line) != "begun\n" {
		s.Fatalf("the answer begins with %q, %v", line, err)
	}
	return &hanging{response, writer}
}

// finish ends the request and returns an error unless the answer is complete.
func (h *hanging) finish() error {
	if err := h.body.Close(); err != nil {
		return err
	}
	rest, err := io.ReadAll(h.response.Body)
	if err == nil && strings.TrimSpace(string(rest)) != "finished" {
		err = fmt.Errorf("the answer ends with %q", rest)
	}
	return err
}
