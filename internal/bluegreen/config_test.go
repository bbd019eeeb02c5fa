// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

func TestDefaultConfig(t *testing.T) {
	want := bluegreen.Config{
		HealthCheckTimeout: 30 * time.Second, HealthCheckRetries: 3, UnhealthyThreshold: 3, RollbackCheck: true,
		MinHealthyPercent: 100,
		SwitchTimeout:     time.Minute, DrainTimeout: 30 * time.Second, ProbeInterval: time.Second, HistoryLimit: 10,
	}
	if got := bluegreen.DefaultConfig(); got != want {
		t.Errorf("the defaults are %+v, want %+v", got, want)
	}
}
