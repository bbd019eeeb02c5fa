// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// ignoring returns a configuration of one resource that leaves releases to others.
func ignoring(config string) string {
	return strings.TrimSuffix(config, "}\n") + "  lifecycle {\n    ignore_changes = [version, image]\n  }\n}\n"
}

// releasing is a release of somebody else, with the same settings as the configuration's.
func (h *harness) releasing(version string) func(context.Context, *bluegreen.Deployer) error {
	return func(ctx context.Context, ada *bluegreen.Deployer) error {
		ada.Config.BakeTime, ada.Config.DrainTimeout = 0, 0
		return ada.DeployAndSwitch(ctx, bluegreen.Release{Version: version, Image: h.image(), Replicas: 1})
	}
}

// With ignore_changes, releases are made elsewhere, and no apply takes them back: neither a
// deploy nor a rollback, and not after an apply that failed because of it. Without it, the plan
// says what it takes back.
func TestReleasesMadeElsewhere(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	tf := h.terraform()
	elsewhere := func(act func(context.Context, *bluegreen.Deployer) error) {
		t.Helper()
		h.outside(act)()
	}
	config := ignoring(h.config(version("1.0.0")))
	tf.apply(config)
	elsewhere(h.releasing("2.0.0"))
	mustContain(t, tf.must("plan"), "No changes")

	tf.write(ignoring(h.config(version("1.0.0"), attributes{"history_limit": "20"})))
	tf.must("plan", "-out", "settings.tfplan")
	elsewhere(h.releasing("3.0.0"))
	mustContain(t, tf.mustFail("apply", "settings.tfplan"), "The plan is stale")
	mustContain(t, tf.must("apply", "-auto-approve"), "~ history_limit", "1 changed")
	h.answers("3.0.0")
	mustContain(t, tf.must("show"), `version = "3.0.0"`)

	elsewhere(func(ctx context.Context, ada *bluegreen.Deployer) error { return ada.Rollback(ctx, "it lost orders") })
	tf.apply(config)
	h.answers("2.0.0")

	// The same version with other settings, and another version.
	elsewhere(func(ctx context.Context, ada *bluegreen.Deployer) error {
		ada.Config.BakeTime, ada.Config.DrainTimeout = 0, 0
		return ada.DeployAndSwitch(ctx, bluegreen.Release{
			Version: "4.0.0", Image: h.image(), Replicas: 1, Args: []string{"-v"},
		})
	})
	mustContain(t, tf.must("plan"), "replaces a release that was made elsewhere",
		"4.0.0 was deployed by ada@example pid 1 at", "deploys the same version again")
	tf.write(h.config(version("3.0.0")))
	mustContain(t, tf.must("plan"), `~ version = "4.0.0" -> "3.0.0"`, "This plan deploys 3.0.0 instead of it",
		"ignore_changes = [version, image]")
}

// A rollback = true that is in force takes back no release that was made after it.
func TestRollbackLeavesALaterReleaseOfOthers(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	tf := h.terraform()
	tf.apply(h.config(version("1.0.0")))
	tf.apply(h.config(version("2.0.0")))
	rolledBack := ignoring(h.config(version("2.0.0"), rollback(true)))
	tf.apply(rolledBack)
	h.outside(h.releasing("3.0.0"))()
	mustContain(t, tf.mustFail("apply", "-auto-approve"), "The rollback is older than the release that serves",
		"3.0.0 was deployed by ada@example pid 1 at", "Nothing was touched", "To keep 3.0.0, set rollback = false")
	h.answers("3.0.0")
	tf.apply(ignoring(h.config(version("2.0.0"))))
	h.answers("3.0.0")
	tf.apply(rolledBack)
	h.answers("1.0.0")
}

// Whoever has made the live record, an apply that succeeded has made what serves its own, and
// one that failed has not. A preview is nobody's release.
func TestWhoseReleaseServes(t *testing.T) {
	t.Parallel()
	o := openDeployment{Deployer: &bluegreen.Deployer{Actor: "ada@example pid 1"}}
	ledger := statusAfter(t, deploySecond).Ledger
	failed := errors.New("it failed")
	if got := o.appliedAfter(ledger, "deploy-1", failed); got != "deploy-2" {
		t.Errorf("after a failed apply that has switched, %s is the applied record", got)
	}
	o.Actor = "grace@example pid 1"
	if got := o.appliedAfter(ledger, "deploy-1", failed); got != "deploy-1" {
		t.Errorf("after an apply that failed because of another one, %s is the applied record", got)
	}
	if got := o.appliedAfter(ledger, "deploy-1", nil); got != "deploy-2" {
		t.Errorf("after an apply, %s is the applied record", got)
	}
	private := privateKeys{}
	writeLedger(t.Context(), private, ledger)
	if got, _ := readApplied(t.Context(), private); got != "deploy-2" {
		t.Errorf("in the state of an earlier version, %s is the applied record", got)
	}
}
