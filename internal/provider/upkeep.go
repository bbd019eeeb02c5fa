// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// upkeep says how the replicas of the configured release are looked after between two
// applies. It is nil unless something is applied.
type upkeep struct {
	release            bluegreen.Release
	checks             health.Config
	unhealthyThreshold int
	restartAfter       time.Duration
}

func newUpkeep(release bluegreen.Release, settings healthSettings, config bluegreen.Config) *upkeep {
	return &upkeep{
		release:            release,
		checks:             settings.checks,
		unhealthyThreshold: config.UnhealthyThreshold,
		restartAfter:       settings.restartAfter,
	}
}

// forAgent is u as the agent of local and docker understands it.
func (u *upkeep) forAgent() *local.Upkeep {
	if u == nil {
		return nil
	}
	return &local.Upkeep{
		Release: u.release, Health: u.checks,
		UnhealthyThreshold: u.unhealthyThreshold, RestartAfter: u.restartAfter,
	}
}
