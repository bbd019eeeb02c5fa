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

// service is a deployment under test with its platform and deployer.
type service struct {
	testing.TB
	dir      string
	platform *local.Platform
	*bluegreen.Deployer
}

// newService returns a deployment in a state directory of its own. The deployment is
// destroyed when the test is over.
func newService(t testing.TB, frontend local.Frontend) *service {
	t.Helper()
	return newServiceIn(t, agenttest.StateDir(t), "web", frontend)
}

func newServiceIn(t testing.TB, dir, name string, frontend local.Frontend) *service {
	t.Helper()
	s := open(t, local.Options{StateDir: dir, Name: name, Frontend: frontend})
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
	deployer := bluegreen.NewDeployer(opts.Name, platform, checker, "tester@host (pid 1)")
	return &service{t, opts.StateDir, platform, deployer}
}

// deployLive makes a healthy release live and returns it.
func (s *service) deployLive(version string, replicas int) bluegreen.Release {
	s.Helper()
	release := agenttest.Release(s, version, agenttest.Healthy)
	release.Replicas = replicas
	s.makeLive(release)
	return release
}

// makeLive deploys a release and switches to it.
func (s *service) makeLive(release bluegreen.Release) {
	s.Helper()
	var err error
	if _, found := s.platform.Load(s.Context()); found != nil {
		_, err = s.Create(s.Context(), bluegreen.Desired{
			Release: release, Promote: true, KeepStandby: true, MinHealthyPercent: 100,
		})
	} else {
		err = s.DeployAndSwitch(s.Context(), release)
	}
	s.must(err)
	s.expectVersion(release.Version)
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

func (s *service) previewEndpoint() string {
	s.Helper()
	status, err := s.platform.Observe(s.Context())
	s.must(err)
	return status.Preview
}

// running returns how many replicas of green run according to the status.
func (s *service) running() int {
	s.Helper()
	status, err := s.platform.Observe(s.Context())
	s.must(err)
	return status.Running[bluegreen.Green]
}

func (s *service) preview() string {
	s.Helper()
	status, err := s.platform.Observe(s.Context())
	s.must(err)
	return status.Preview
}

// expectVersion fails the test unless a client is answered with version.
func (s *service) expectVersion(version string) {
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

// runs lists the replicas in env with the run of each. The test fails unless a command can
// run in each of them.
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

// file returns the content of a file in the deployment's directory.
func (s *service) file(path ...string) string {
	s.Helper()
	content, err := os.ReadFile(filepath.Join(append([]string{s.dir, "deployments", s.Deployment}, path...)...))
	s.must(err)
	return string(content)
}

// pendingRequest is a request whose answer has begun and ends when the client wants.
type pendingRequest struct {
	response *http.Response
	body     *io.PipeWriter
}

// startRequest sends a request, and returns when its answer has begun.
func (s *service) startRequest() *pendingRequest {
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
	return &pendingRequest{response, writer}
}

// finish ends the request and returns an error unless the answer is complete.
func (p *pendingRequest) finish() error {
	if err := p.body.Close(); err != nil {
		return err
	}
	rest, err := io.ReadAll(p.response.Body)
	if err == nil && strings.TrimSpace(string(rest)) != "finished" {
		err = fmt.Errorf("the answer ends with %q", rest)
	}
	return err
}

// errOf returns the error of a call.
func errOf[T any](_ T, err error) error { return err }
