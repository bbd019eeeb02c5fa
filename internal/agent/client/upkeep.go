// SPDX-License-Identifier: MPL-2.0

package client

import (
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

// Upkeep says how the replicas of Release are looked after. The other fields are those of
// store.Upkeep.
type Upkeep struct {
	Release            bluegreen.Release
	Health             health.Config
	UnhealthyThreshold int
	RestartAfter       time.Duration
	WatchesEngine      bool
}

// In returns the upkeep for a commit of ledger, where the agent finds the release by its
// fingerprint. It returns nil for nil.
func (u *Upkeep) In(ledger bluegreen.Ledger) *store.Upkeep {
	if u == nil {
		return nil
	}
	return &store.Upkeep{
		Fingerprint: ledger.FingerprintOf(u.Release), Health: u.Health,
		UnhealthyThreshold: u.UnhealthyThreshold, RestartAfter: u.RestartAfter,
		WatchesEngine: u.WatchesEngine,
	}
}
