// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
)

func TestHundredSwitchesDropNoRequest(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	opts := h.options(h.name)
	// A request may take long on a busy machine. Draining ends as soon as none is in flight.
	opts.Frontend.DrainTimeout = time.Minute
	s := h.newServiceWith(t, opts)
	s.deployLive("1.0.0")
	release := s.deployLive("2.0.0")
	load := startLoad(t, s.endpoint())
	desired := desired(release)
	for n := range 100 {
		planned, err := s.platform.Load(t.Context())
		s.must(err)
		desired.Rollback = n%2 == 0
		s.must(errorOf(s.Apply(t.Context(), planned, desired)))
	}
	load.stop("100 switches")
	s.expectVersion("2.0.0")
}

func TestAnotherPortDropsNoRequest(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	load := startLoad(t, s.endpoint())
	opts := h.options(h.name + "-2")
	opts.Frontend.Listen = []string{agenttest.FreeAddress(t), agenttest.FreeAddress(t)}
	other := h.newServiceWith(t, opts)
	other.deployLive("2.0.0")
	for _, address := range opts.Frontend.Listen {
		if _, body := get(t, "http://"+address); body != "2.0.0" {
			t.Errorf("%s answers %q", address, body)
		}
	}
	s.must(other.Destroy(t.Context()))
	load.stop("another deployment was created and destroyed")
}
