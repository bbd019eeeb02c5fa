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

// machine is this machine as the conformance suite sees it: one state directory
// for all its deployments.
type machine struct {
	testing.TB
	dir     string
	checker bluegreen.Checker

	mu       sync.Mutex
	releases map[string]bluegreen.Release
}

var _ platformtest.Harness = (*machine)(nil)

func TestConformance(t *testing.T) {
	t.Parallel()
	checker, err := health.New(health.Config{Interval: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{TB: t, dir: agenttest.StateDir(t), checker: checker, releases: map[string]bluegreen.Release{}}
	platformtest.Run(t, m)
}

func (m *machine) open(t testing.TB, deployment string) *local.Platform {
	t.Helper()
	p, err := local.New(local.Options{StateDir: m.dir, Name: deployment, Frontend: local.Frontend{DrainTimeout: time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (m *machine) Open(t testing.TB, deployment string) platformtest.Process {
	p := m.open(t, deployment)
	return platformtest.Process{Platform: p, Kill: p.Close}
}

func (m *machine) Release(version string, behaviour platformtest.Behaviour) bluegreen.Release {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := string(behaviour) + version
	release, made := m.releases[key]
	if !made {
		release = agenttest.Release(m.TB, version, agenttest.Mode(behaviour))
		release.Replicas = 2
		m.releases[key] = release
	}
	return release
}

func (m *machine) Checker() bluegreen.Checker { return m.checker }

func (m *machine) Serves(t testing.TB, deployment string) string {
	t.Helper()
	status, err := m.open(t, deployment).Observe(context.WithoutCancel(t.Context()))
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

func (m *machine) MakeUnhealthy(t testing.TB, deployment string, env bluegreen.Environment) {
	t.Helper()
	p := m.open(t, deployment)
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

func (m *machine) Crash(t testing.TB, deployment string, env bluegreen.Environment) {
	t.Helper()
	p := m.open(t, deployment)
	instances, err := p.Instances(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	for _, instance := range instances {
		// It has no time to answer.
		_ = agenttest.Ask(t.Context(), p, instance, "/exit")
	}
}

// client opens a connection for every request, as a new visitor does.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// get returns what a client is answered with.
func get(t testing.TB, url string) (status int, body string) {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Fatalf("a client got no answer: %v", err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("a client got half an answer: %v", err)
	}
	return response.StatusCode, string(content)
}
