// SPDX-License-Identifier: MPL-2.0

//go:build unix

package local_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// One who knows the deployment by its name alone rolls it back. Clients reach it as before, and its
// replicas are looked after as before.
func TestRollbackByNameKeepsTheSettings(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{DrainTimeout: longTimeout, PreviewListen: "127.0.0.1:0"})
	s.deployLive("1.0.0", 1)
	checks := health.Config{HTTP: &health.HTTP{Path: "/"}, Interval: time.Minute}
	second := agenttest.Release(t, "2.0.0", agenttest.Healthy)
	checked := open(t, local.Options{
		StateDir: s.dir, Name: s.Deployment,
		Frontend: local.Frontend{DrainTimeout: longTimeout, PreviewListen: "127.0.0.1:0"},
		Upkeep:   &local.Upkeep{Release: second, Health: checks, UnhealthyThreshold: 7},
	})
	checked.makeLive(second)
	checked.platform.Close()
	endpoint, upkeep := s.endpoint(), s.storedUpkeep()
	before, err := s.platform.Frontend()
	s.must(err)

	byName := open(t, local.Options{StateDir: s.dir, Name: s.Deployment, KeepsSettings: true})
	s.must(byName.Rollback(t.Context(), "it lost orders"))
	s.expectVersion("1.0.0")
	if got := s.endpoint(); got != endpoint {
		t.Errorf("the endpoint is %s, want %s", got, endpoint)
	}
	after, err := s.platform.Frontend()
	s.must(err)
	if got, want := encode(t, after), encode(t, before); got != want {
		t.Errorf("the frontend is %s, want %s", got, want)
	}
	if got := s.storedUpkeep(); got != upkeep {
		t.Errorf("the agent looks after the replicas by %s, want %s", got, upkeep)
	}
}

// storedUpkeep returns the file that says how the replicas are looked after.
func (s *service) storedUpkeep() string {
	s.Helper()
	content, err := os.ReadFile(filepath.Join(s.dir, "deployments", s.Deployment, "upkeep.json"))
	s.must(err)
	return string(content)
}

func encode(t testing.TB, v any) string {
	t.Helper()
	encoded, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}
