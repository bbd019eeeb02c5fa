// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

func TestNobodyNoticesAHundredSwitches(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	s := l.newService(t, l.name)
	s.live("1.0.0")
	release := s.live("2.0.0")
	visitors := startCrowd(t, s.endpoint())
	desired := bluegreen.Desired{Release: release, Promote: true, KeepStandby: true, MinHealthyPercent: 100}
	for n := range 100 {
		planned, err := s.platform.Load(t.Context())
		s.must(err)
		desired.Rollback = n%2 == 0
		s.must(second(s.Apply(t.Context(), planned, desired)))
	}
	visitors.stop("100 switches")
	s.serves("2.0.0")
}

func TestAnotherPortInterruptsNobody(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	s := l.newService(t, l.name)
	s.live("1.0.0")
	visitors := startCrowd(t, s.endpoint())
	opts := l.options(l.name + "-2")
	opts.Frontend.Listen = []string{agenttest.FreeAddress(t), agenttest.FreeAddress(t)}
	other := l.newServiceWith(t, opts)
	other.live("2.0.0")
	for _, address := range opts.Frontend.Listen {
		if _, body := get(t, "http://"+address); body != "2.0.0" {
			t.Errorf("%s answers %q", address, body)
		}
	}
	s.must(other.Destroy(t.Context()))
	visitors.stop("another deployment came and went")
}
