// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

func TestRollbackWhoseTrafficDoesNotArriveIsReverted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTimedHarness(t, alwaysHealthy)
		h.create(t)
		if err := h.DeployAndSwitch(t.Context(), fourReplicas(h.memory, "2.0.0")); err != nil {
			t.Fatal(err)
		}
		working := h.Platform
		h.Platform = slowPlatform{working, time.Hour}
		if err := h.Rollback(t.Context(), "slow"); !errors.Is(err, bluegreen.Timeout) {
			t.Errorf("got %v, want a timeout", err)
		}
		if got := h.memory.Serves(t, deployment); got != "2.0.0" {
			t.Errorf("%s serves", got)
		}
		h.Platform = working
		if err := h.Rollback(t.Context(), "slow"); err != nil || h.memory.Serves(t, deployment) != "1.0.0" {
			t.Errorf("%v, and %s serves", err, h.memory.Serves(t, deployment))
		}
	})
}
