// SPDX-License-Identifier: MPL-2.0

//go:build unix

package local_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// platformUnderTest is the platform as the conformance suite uses it. All deployments have
// the same state directory.
type platformUnderTest struct {
	testing.TB
	dir     string
	checker bluegreen.Checker

	mu       sync.Mutex
	releases map[string]bluegreen.Release
}

var _ platformtest.Harness = (*platformUnderTest)(nil)

func TestConformance(t *testing.T) {
	t.Parallel()
	checker, err := health.New(health.Config{Interval: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	u := &platformUnderTest{
		TB: t, dir: agenttest.StateDir(t), checker: checker, releases: map[string]bluegreen.Release{},
	}
	// An agent runs from the beginning to the end, whatever comes first. It stays while a lock is held.
	unlock, err := u.open(t, "keeps-the-agent").Lock(t.Context(), "tester@host (pid 1)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(unlock)
	platformtest.Run(t, u)
}

func (u *platformUnderTest) open(t testing.TB, deployment string) *local.Platform {
	t.Helper()
	frontend := local.Frontend{DrainTimeout: time.Second}
	p, err := local.New(local.Options{StateDir: u.dir, Name: deployment, Frontend: frontend})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (u *platformUnderTest) Open(t testing.TB, deployment string) platformtest.Process {
	p := u.open(t, deployment)
	return platformtest.Process{Platform: p, Kill: p.Close}
}

func (u *platformUnderTest) Release(version string, behaviour platformtest.Behaviour) bluegreen.Release {
	u.mu.Lock()
	defer u.mu.Unlock()
	key := string(behaviour) + version
	release, made := u.releases[key]
	if !made {
		release = agenttest.Release(u.TB, version, agenttest.Mode(behaviour))
		release.Replicas = 2
		u.releases[key] = release
	}
	return release
}

func (u *platformUnderTest) Checker() bluegreen.Checker { return u.checker }

func (u *platformUnderTest) Serves(t testing.TB, deployment string) string {
	t.Helper()
	status, err := u.open(t, deployment).Observe(context.WithoutCancel(t.Context()))
	if errors.Is(err, bluegreen.ErrNotFound) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	code, body := get(t, status.Endpoint)
	if code != http.StatusOK {
		return ""
	}
	return body
}

func (u *platformUnderTest) MakeUnhealthy(t testing.TB, deployment string, env bluegreen.Environment) {
	t.Helper()
	p := u.open(t, deployment)
	instances, err := p.Instances(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	for _, instance := range instances {
		if err := agenttest.Ask(t.Context(), p, instance, "/sicken"); err != nil {
			t.Fatal(err)
		}
	}
}

func (u *platformUnderTest) Crash(t testing.TB, deployment string, env bluegreen.Environment) {
	t.Helper()
	p := u.open(t, deployment)
	instances, err := p.Instances(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	for _, instance := range instances {
		// The replica exits before it can answer.
		_ = agenttest.Ask(t.Context(), p, instance, "/exit")
	}
}

// client opens a connection for every request.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// get returns the answer to a client's request.
func get(t testing.TB, url string) (status int, body string) {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Fatalf("a client got no answer: %v", err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("a client got an incomplete answer: %v", err)
	}
	return response.StatusCode, string(content)
}
