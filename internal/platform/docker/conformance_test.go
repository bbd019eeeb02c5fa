// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
)

// platformUnderTest is a harness as the conformance suite uses it.
type platformUnderTest struct{ *harness }

var _ platformtest.Harness = platformUnderTest{}

func TestConformance(t *testing.T) {
	t.Parallel()
	platformtest.Run(t, platformUnderTest{newHarness(t)})
}

func (c platformUnderTest) Open(t testing.TB, deployment string) platformtest.Process {
	p := c.open(t, deployment)
	return platformtest.Process{Platform: p, Kill: p.Close}
}

func (c platformUnderTest) Release(version string, behaviour platformtest.Behaviour) bluegreen.Release {
	return c.release(version, agenttest.Mode(behaviour))
}

func (c platformUnderTest) Checker() bluegreen.Checker { return newChecker(c.TB) }

func (c platformUnderTest) Serves(t testing.TB, deployment string) string {
	t.Helper()
	status, err := c.open(t, deployment).Observe(context.WithoutCancel(t.Context()))
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

func (c platformUnderTest) MakeUnhealthy(t testing.TB, deployment string, env bluegreen.Environment) {
	t.Helper()
	p := c.open(t, deployment)
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

func (c platformUnderTest) Crash(t testing.TB, deployment string, env bluegreen.Environment) {
	t.Helper()
	p := c.open(t, deployment)
	instances, err := p.Instances(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	for _, instance := range instances {
		// The replica exits before it can answer.
		_ = agenttest.Ask(t.Context(), p, instance, "/exit")
	}
}

// newConnections is a client that opens a connection for every request.
var newConnections = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// get returns the answer to a client's request.
func get(t testing.TB, url string) (status int, body string) {
	t.Helper()
	response, err := newConnections.Get(url)
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
