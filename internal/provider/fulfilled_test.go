// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
)

// An apply fails unless what is configured serves at its end.
func TestFulfilledOnlyWhenTheConfiguredReleaseServes(t *testing.T) {
	t.Parallel()
	desired := func(version string, rollback, promote bool) bluegreen.Desired {
		return bluegreen.Desired{
			Release:           bluegreen.Release{Version: version, Image: "web", Replicas: 2},
			Rollback:          rollback,
			Promote:           promote,
			KeepStandby:       true,
			MinHealthyPercent: 100,
		}
	}
	memory := platformtest.NewMemory()
	deployer := bluegreen.NewDeployer("web", memory.Open(t, "web").Platform, memory.Checker(), "ada@example pid 1")
	for _, act := range []func(context.Context) error{
		func(ctx context.Context) error {
			_, err := deployer.Create(ctx, desired("1.0.0", false, true))
			return err
		},
		func(ctx context.Context) error {
			return deployer.DeployAndSwitch(ctx, desired("2.0.0", false, true).Release)
		},
	} {
		if err := act(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	status, err := deployer.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		desired bluegreen.Desired
		want    bool
	}{
		"it serves":                       {desired("2.0.0", false, true), true},
		"another version serves":          {desired("3.0.0", false, true), false},
		"the standby should serve":        {desired("2.0.0", true, true), false},
		"another version should wait":     {desired("3.0.0", false, false), false},
		"another and the standby at once": {desired("3.0.0", true, true), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := (openDeployment{desired: test.desired}).isFulfilled(status); got != test.want {
				t.Errorf("fulfilled: %t, want %t", got, test.want)
			}
		})
	}
}

// A create whose last answer was lost is recorded if it is complete. A deployment of somebody else
// never is, even if it is just what is configured.
func TestOnlyAnUnconfirmedCreateIsRecorded(t *testing.T) {
	t.Parallel()
	memory := platformtest.NewMemory()
	deployer := bluegreen.NewDeployer("web", memory.Open(t, "web").Platform, memory.Checker(), "ada@example pid 1")
	desired := bluegreen.Desired{
		Release: memory.Release("1.0.0", platformtest.Healthy),
		Promote: true, KeepStandby: true, MinHealthyPercent: 100,
	}
	if _, err := deployer.Create(t.Context(), desired); err != nil {
		t.Fatal(err)
	}
	complete, err := deployer.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	incomplete, unreached := complete, complete
	incomplete.Ledger.Created, unreached.Outage = false, &bluegreen.Outage{}
	lost := fmt.Errorf("the agent ended: %w", bluegreen.ErrCreateUnconfirmed)
	for name, test := range map[string]struct {
		err    error
		status bluegreen.Status
		want   bool
	}{
		"complete":                {lost, complete, true},
		"without its last commit": {lost, incomplete, false},
		"out of reach":            {lost, unreached, false},
		"of somebody else":        {bluegreen.ErrExists, complete, false},
		"not asked":               {bluegreen.PlatformUnavailable, complete, false},
	} {
		if got := (openDeployment{desired: desired}).isCreatedAllTheSame(test.err, test.status); got != test.want {
			t.Errorf("%s: recorded is %t, want %t", name, got, test.want)
		}
	}
}
