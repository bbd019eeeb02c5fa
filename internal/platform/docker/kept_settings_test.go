// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// One who knows the deployment by its name alone rolls it back. Clients reach it where they did.
func TestRollbackByNameKeepsTheSettings(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	opts := h.options("web")
	opts.Frontend.Listen = []string{agenttest.FreeAddress(t)}
	s := h.newServiceWith(t, opts)
	s.deployLive("1.0.0")
	s.deployLive("2.0.0")
	endpoint := s.endpoint()

	byName := h.openWith(t, Options{
		Connection: h.connection, Name: "web", Agent: opts.Agent, KeepsSettings: true,
	})
	d := bluegreen.NewDeployer("web", byName, newChecker(t), "ada@host (pid 2)")
	s.must(d.Rollback(t.Context(), "it lost orders"))
	if got := s.endpoint(); got != endpoint {
		t.Errorf("the endpoint is %s, want %s", got, endpoint)
	}
	s.expectVersion("1.0.0")
}
