// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// service is a deployment under test with its platform and deployer.
type service struct {
	*harness
	platform *Platform
	*bluegreen.Deployer
}

// newService returns a deployment on the harness's host. The deployment is destroyed when
// the test is over.
func (h *harness) newService(t testing.TB, name string) *service {
	t.Helper()
	return h.newServiceWith(t, h.options(name))
}

func (h *harness) newServiceWith(t testing.TB, opts Options) *service {
	t.Helper()
	p := h.openWith(t, opts)
	s := &service{h, p, bluegreen.NewDeployer(opts.Name, p, newChecker(t), "tester@host (pid 1)")}
	t.Cleanup(func() {
		last := h.openWith(t, opts)
		deployer := bluegreen.NewDeployer(opts.Name, last, newChecker(t), "cleanup")
		if err := deployer.Destroy(context.Background()); err != nil {
			t.Errorf("destroying after the test: %v", err)
		}
	})
	return s
}

// desired returns what an apply asks for that promotes the release and keeps the standby.
func desired(release bluegreen.Release) bluegreen.Desired {
	return bluegreen.Desired{Release: release, Promote: true, KeepStandby: true, MinHealthyPercent: 100}
}

// makeLive deploys a release and switches to it.
func (s *service) makeLive(release bluegreen.Release) {
	s.Helper()
	var err error
	if _, found := s.platform.Load(s.Context()); found != nil {
		_, err = s.Create(s.Context(), desired(release))
	} else {
		err = s.DeployAndSwitch(s.Context(), release)
	}
	s.must(err)
	s.expectVersion(release.Version)
}

// deployLive makes a healthy release of two replicas live.
func (s *service) deployLive(version string) bluegreen.Release {
	s.Helper()
	release := s.release(version, agenttest.Healthy)
	s.makeLive(release)
	return release
}

func (s *service) endpoint() string {
	s.Helper()
	status, err := s.platform.Observe(s.Context())
	s.must(err)
	return status.Endpoint
}

// expectVersion fails the test unless a client is answered with version.
func (s *service) expectVersion(version string) {
	s.Helper()
	if status, body := get(s, s.endpoint()); status != http.StatusOK || body != version {
		s.Fatalf("a client is answered %d %q, want %q", status, body, version)
	}
}

// tryGet sends a request that may get no answer.
func (s *service) tryGet() (status int, body string) {
	s.Helper()
	response, err := newConnections.Get(s.endpoint())
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(content)
}

// crash makes a replica exit.
func (s *service) crash(id string) {
	s.Helper()
	env, err := environmentOf(bluegreen.Instance{ID: id})
	s.must(err)
	for _, instance := range s.instances(env) {
		if instance.ID == id {
			// The replica exits before it can answer.
			_ = agenttest.Ask(s.Context(), s.platform, instance, "/exit")
		}
	}
}

func (s *service) instances(env bluegreen.Environment) []bluegreen.Instance {
	s.Helper()
	instances, err := s.platform.Instances(s.Context(), env)
	s.must(err)
	return instances
}

// applyAgain applies a release that is live already, which repairs the deployment.
func (s *service) applyAgain(release bluegreen.Release) {
	s.Helper()
	planned, err := s.platform.Load(s.Context())
	s.must(err)
	_, err = s.Apply(s.Context(), planned, desired(release))
	s.must(err)
}

// running returns the number of replicas that run in blue and in green.
func (s *service) running() [2]int {
	s.Helper()
	status, err := s.platform.Observe(s.Context())
	s.must(err)
	return [2]int{status.Running[bluegreen.Blue], status.Running[bluegreen.Green]}
}

// eventually waits until condition returns nil. It is for changes without an event.
func (s *service) eventually(condition func() error) {
	s.Helper()
	agenttest.Eventually(s, condition)
}

func contains(err error, text string) bool { return strings.Contains(err.Error(), text) }
