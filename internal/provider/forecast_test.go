// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
)

// history plays a deployment in memory and returns what is there at the end.
func history(t *testing.T, acts ...func(context.Context, *bluegreen.Deployer) error) bluegreen.Status {
	t.Helper()
	memory := platformtest.NewMemory()
	d := bluegreen.NewDeployer("web", memory.Open(t, "web").Platform, memory.Checker(), "ada@example pid 1")
	if err := first(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	for _, act := range acts {
		if err := act(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	status, err := d.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return status
}

func first(ctx context.Context, d *bluegreen.Deployer) error {
	_, err := d.Create(ctx, wanted("1.0.0"))
	return err
}

func second(ctx context.Context, d *bluegreen.Deployer) error {
	return d.DeployAndSwitch(ctx, wanted("2.0.0").Release)
}

func previewed(ctx context.Context, d *bluegreen.Deployer) error {
	if _, err := d.Deploy(ctx, wanted("2.0.0").Release); err != nil {
		return err
	}
	_, err := d.HealthCheck(ctx)
	return err
}

func undone(ctx context.Context, d *bluegreen.Deployer) error { return d.Rollback(ctx, "slow") }

func wanted(version string, changes ...func(*bluegreen.Desired)) bluegreen.Desired {
	desired := bluegreen.Desired{
		Release:           bluegreen.Release{Version: version, Image: "web", Replicas: 2},
		Promote:           true,
		KeepStandby:       true,
		MinHealthyPercent: 100,
	}
	for _, change := range changes {
		change(&desired)
	}
	return desired
}

func rolledBack(d *bluegreen.Desired) { d.Rollback = true }
func held(d *bluegreen.Desired)       { d.Promote = false }
func removing(d *bluegreen.Desired)   { d.KeepStandby = false }
func ofThree(d *bluegreen.Desired)    { d.Release.Replicas = 3 }
func running(blue, green int) counts  { return counts{bluegreen.Blue: blue, bluegreen.Green: green} }

type counts = map[bluegreen.Environment]int

var (
	unknownText  = types.StringUnknown()
	unknownCount = types.Int64Unknown()
)

func TestForecast(t *testing.T) {
	t.Parallel()
	empty := bluegreen.Status{Ledger: bluegreen.NewLedger("web")}
	for name, tt := range map[string]struct {
		before  bluegreen.Status
		running counts
		desired bluegreen.Desired
		// live is environment, version and record.
		live                [3]attr.Value
		rollback            types.Bool
		blueRuns, greenRuns types.Int64
		blueAt, greenAt     string
	}{
		"the first release": {
			before: empty, desired: wanted("1.0.0"),
			live:     [3]attr.Value{types.StringValue("green"), types.StringValue("1.0.0"), unknownText},
			rollback: types.BoolValue(false), blueRuns: types.Int64Value(0), greenRuns: unknownCount,
			blueAt: "idle ", greenAt: "live 1.0.0",
		},
		"a first preview": {
			before: empty, desired: wanted("1.0.0", held),
			live:     [3]attr.Value{types.StringNull(), types.StringNull(), types.StringNull()},
			rollback: types.BoolValue(false), blueRuns: types.Int64Value(0), greenRuns: unknownCount,
			blueAt: "idle ", greenAt: "ready 1.0.0",
		},
		"nothing to do": {
			before: history(t, second), running: running(2, 2), desired: wanted("2.0.0"),
			live:     [3]attr.Value{types.StringValue("blue"), types.StringValue("2.0.0"), types.StringValue("deploy-2")},
			rollback: types.BoolValue(true), blueRuns: types.Int64Value(2), greenRuns: types.Int64Value(2),
			blueAt: "live 2.0.0", greenAt: "idle 1.0.0",
		},
		"the next release": {
			before: history(t, second), running: running(2, 2), desired: wanted("3.0.0"),
			live:     [3]attr.Value{types.StringValue("green"), types.StringValue("3.0.0"), unknownText},
			rollback: types.BoolValue(true), blueRuns: types.Int64Value(2), greenRuns: unknownCount,
			blueAt: "idle 2.0.0", greenAt: "live 3.0.0",
		},
		"the next release over one that is half down": {
			before: history(t, second), running: running(1, 2), desired: wanted("3.0.0"),
			live:     [3]attr.Value{types.StringValue("green"), types.StringValue("3.0.0"), unknownText},
			rollback: types.BoolUnknown(), blueRuns: unknownCount, greenRuns: unknownCount,
			blueAt: "idle 2.0.0", greenAt: "live 3.0.0",
		},
		"the next release, and the standby goes": {
			before: history(t), running: running(0, 2), desired: wanted("2.0.0", removing),
			live:     [3]attr.Value{types.StringValue("blue"), types.StringValue("2.0.0"), unknownText},
			rollback: types.BoolValue(false), blueRuns: unknownCount, greenRuns: types.Int64Value(0),
			blueAt: "live 2.0.0", greenAt: "idle ",
		},
		"a preview beside what serves": {
			before: history(t), running: running(0, 2), desired: wanted("2.0.0", held),
			live:     [3]attr.Value{types.StringValue("green"), types.StringValue("1.0.0"), types.StringValue("deploy-1")},
			rollback: types.BoolValue(false), blueRuns: unknownCount, greenRuns: types.Int64Value(2),
			blueAt: "ready 2.0.0", greenAt: "live 1.0.0",
		},
		"a promotion": {
			before: history(t, previewed), running: running(2, 2), desired: wanted("2.0.0"),
			live:     [3]attr.Value{types.StringValue("blue"), types.StringValue("2.0.0"), types.StringValue("deploy-2")},
			rollback: types.BoolValue(true), blueRuns: types.Int64Value(2), greenRuns: types.Int64Value(2),
			blueAt: "live 2.0.0", greenAt: "idle 1.0.0",
		},
		"a rollback": {
			before: history(t, second), running: running(2, 2), desired: wanted("2.0.0", rolledBack),
			live:     [3]attr.Value{types.StringValue("green"), types.StringValue("1.0.0"), unknownText},
			rollback: types.BoolValue(false), blueRuns: types.Int64Value(2), greenRuns: types.Int64Value(2),
			blueAt: "idle 2.0.0", greenAt: "live 1.0.0",
		},
		"forward again": {
			before: history(t, second, undone), running: running(2, 2), desired: wanted("2.0.0"),
			live:     [3]attr.Value{types.StringValue("blue"), types.StringValue("2.0.0"), unknownText},
			rollback: types.BoolValue(true), blueRuns: unknownCount, greenRuns: types.Int64Value(2),
			blueAt: "live 2.0.0", greenAt: "idle 1.0.0",
		},
		"more replicas": {
			before: history(t, second), running: running(2, 2), desired: wanted("2.0.0", ofThree),
			live:     [3]attr.Value{types.StringValue("blue"), types.StringValue("2.0.0"), types.StringValue("deploy-2")},
			rollback: types.BoolUnknown(), blueRuns: unknownCount, greenRuns: unknownCount,
			blueAt: "live 2.0.0", greenAt: "idle 1.0.0",
		},
		"a repair": {
			before: history(t, second), running: running(0, 2), desired: wanted("2.0.0"),
			live:     [3]attr.Value{types.StringValue("blue"), types.StringValue("2.0.0"), types.StringValue("deploy-2")},
			rollback: types.BoolValue(true), blueRuns: unknownCount, greenRuns: types.Int64Value(2),
			blueAt: "live 2.0.0", greenAt: "idle 1.0.0",
		},
		"something runs where nothing should": {
			before: history(t), running: running(1, 2), desired: wanted("1.0.0"),
			live:     [3]attr.Value{types.StringValue("green"), types.StringValue("1.0.0"), types.StringValue("deploy-1")},
			rollback: types.BoolValue(false), blueRuns: types.Int64Value(0), greenRuns: types.Int64Value(2),
			blueAt: "idle ", greenAt: "live 1.0.0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.before.Running = tt.running
			f, err := predict("web", tt.before, tt.desired)
			if err != nil {
				t.Fatal(err)
			}
			same := func(what string, got, want attr.Value) {
				t.Helper()
				if !got.Equal(want) {
					t.Errorf("%s is %s, not %s", what, got, want)
				}
			}
			same("live_environment", f.seen.LiveEnvironment, tt.live[0])
			same("live_version", f.seen.LiveVersion, tt.live[1])
			same("deployment_id", f.seen.DeploymentID, tt.live[2])
			same("rollback_available", f.seen.RollbackAvailable, tt.rollback)
			blue, green := f.seen.environments[bluegreen.Blue], f.seen.environments[bluegreen.Green]
			same("ready_replicas of blue", blue.ReadyReplicas, tt.blueRuns)
			same("ready_replicas of green", green.ReadyReplicas, tt.greenRuns)
			same("blue", types.StringValue(blue.State.ValueString()+" "+blue.Version.ValueString()), types.StringValue(tt.blueAt))
			same("green", types.StringValue(green.State.ValueString()+" "+green.Version.ValueString()), types.StringValue(tt.greenAt))
		})
	}
}

// A plan with something to do differs from the state, or Terraform would not do it.
func TestForecastDiffersWhenSomethingIsToBeDone(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]bluegreen.Status{
		"one":     history(t),
		"two":     history(t, second),
		"back":    history(t, second, undone),
		"preview": history(t, previewed),
	} {
		for _, desired := range []bluegreen.Desired{
			wanted("1.0.0"), wanted("2.0.0"), wanted("3.0.0"), wanted("1.0.0", removing), wanted("2.0.0", removing),
			wanted("2.0.0", held), wanted("2.0.0", rolledBack), wanted("2.0.0", ofThree),
		} {
			for _, count := range []counts{running(2, 2), running(0, 2), running(2, 0), running(1, 1), running(0, 0)} {
				before.Running = count
				f, err := predict("web", before, desired)
				if err != nil {
					continue
				}
				now := observe("web", before, 100).model()
				then := f.seen.model()
				if same := now.equal(then); same != (len(f.steps) == 0) {
					t.Errorf("%s, %s, %v: steps %v, but the attributes are the same: %t", name, desired.Release.Version, count, f.steps, same)
				}
			}
		}
	}
}

func TestForecastOfAnImpossibleRollback(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		before  bluegreen.Status
		desired bluegreen.Desired
		want    error
	}{
		"of the first release":     {history(t), wanted("1.0.0", rolledBack), bluegreen.ErrNothingToRollBackTo},
		"of a new release":         {history(t, second), wanted("3.0.0", rolledBack), bluegreen.ErrRollbackOfNewRelease},
		"of what was brought back": {history(t, second, undone), wanted("1.0.0", rolledBack), bluegreen.ErrNothingToRollBackTo},
	} {
		if _, err := predict("web", tt.before, tt.desired); !errors.Is(err, tt.want) {
			t.Errorf("a rollback %s: %v, not %v", name, err, tt.want)
		}
	}
}

// Beside live, what was planned is recorded even if the world has moved on a
// little; what the plan left open is recorded as it is.
func TestSettle(t *testing.T) {
	t.Parallel()
	before := history(t, second)
	f, err := predict("web", before, wanted("2.0.0", ofThree))
	if err != nil {
		t.Fatal(err)
	}
	planned := f.seen.model()
	after := f.after
	after.Running = running(3, 3)
	asPlanned := observe("web", after, 100).model()
	settled, diags := settle(t.Context(), planned, asPlanned)
	if len(diags) > 0 || !settled.Environments.Equal(asPlanned.Environments) {
		t.Errorf("settled as %v with %v", settled.Environments, diags)
	}

	f, err = predict("web", before, wanted("3.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	planned = f.seen.model()
	after = f.after
	after.Running = running(1, 2)
	lame := observe("web", after, 100).model()
	settled, diags = settle(t.Context(), planned, lame)
	if diags.WarningsCount() != 1 || !settled.RollbackAvailable.ValueBool() {
		t.Errorf("settled as %v with %v", settled, diags)
	}
	ready := settled.readyReplicas()
	if ready[bluegreen.Blue] != 2 || ready[bluegreen.Green] != 2 {
		t.Errorf("replicas are %v: those of blue were planned, those of green were not", ready)
	}
}

// A standby that is there and not healthy is told by a refresh. Nothing is to be done
// about it, and so the plan is empty.
func TestUnhealthyStandbyIsNoChange(t *testing.T) {
	t.Parallel()
	before := history(t, second)
	before.Unready = map[bluegreen.Environment]int{before.Ledger.Staging(): 1}
	seen := observe("web", before, 100).model()
	ledger, err := json.Marshal(before.Ledger)
	if err != nil {
		t.Fatal(err)
	}
	base := planBase{prior: &deploymentModel{observedModel: seen}}
	if diags := base.read(t.Context(), privateKeys{ledgerKey: ledger}, "web"); diags.HasError() {
		t.Fatal(diags)
	}
	f, err := predict("web", base.status, wanted("2.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	planned := f.seen.model()
	planned.Endpoint, planned.PreviewEndpoint = seen.Endpoint, seen.PreviewEndpoint
	if len(f.steps) > 0 || seen.RollbackAvailable.ValueBool() || !planned.equal(seen) {
		t.Errorf("found %v, planned %v by %v", seen, planned, f.steps)
	}
}

func TestUnaskedRollback(t *testing.T) {
	t.Parallel()
	before := history(t, second, undone)
	prior := &deploymentModel{Rollback: types.BoolValue(false)}
	plan := deploymentModel{Version: types.StringValue("2.0.0"), Rollback: types.BoolValue(false)}
	f, err := predict("web", before, wanted("2.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	diags := unaskedRollback(planBase{prior, before}, plan, f)
	if len(diags) != 1 {
		t.Fatalf("diagnostics: %v", diags)
	}
	live, _ := before.Ledger.LiveRecord()
	want := "2.0.0 was rolled back at " + live.SwitchedAt.Format(time.RFC3339) + " by ada@example pid 1: slow. Since then 1.0.0 serves from green. This plan deploys 2.0.0."
	if diags[0].Detail() != want {
		t.Errorf("it says %q, not %q", diags[0].Detail(), want)
	}

	prior.Rollback = types.BoolValue(true)
	if diags := unaskedRollback(planBase{prior, before}, plan, f); len(diags) > 0 {
		t.Errorf("a rollback that was asked for is told: %v", diags)
	}
}
