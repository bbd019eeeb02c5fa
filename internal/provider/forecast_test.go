// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
)

// statusAfter runs operations on a deployment in memory, and returns its status.
func statusAfter(t *testing.T, acts ...func(context.Context, *bluegreen.Deployer) error) bluegreen.Status {
	t.Helper()
	memory := platformtest.NewMemory()
	d := bluegreen.NewDeployer("web", memory.Open(t, "web").Platform, memory.Checker(), "ada@example pid 1")
	if err := deployFirst(t.Context(), d); err != nil {
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

func deployFirst(ctx context.Context, d *bluegreen.Deployer) error {
	_, err := d.Create(ctx, wantRelease("1.0.0"))
	return err
}

func deploySecond(ctx context.Context, d *bluegreen.Deployer) error {
	return d.DeployAndSwitch(ctx, wantRelease("2.0.0").Release)
}

func deployPreview(ctx context.Context, d *bluegreen.Deployer) error {
	if _, err := d.Deploy(ctx, wantRelease("2.0.0").Release); err != nil {
		return err
	}
	_, err := d.HealthCheck(ctx)
	return err
}

// withRetry asks for the release once more that an operator rolled back.
func withRetry(d *bluegreen.Desired) { d.Retry = "deploy-2" }

func rollBack(ctx context.Context, d *bluegreen.Deployer) error { return d.Rollback(ctx, "slow") }

func wantRelease(version string, changes ...func(*bluegreen.Desired)) bluegreen.Desired {
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

func withRollback(d *bluegreen.Desired)      { d.Rollback = true }
func withoutPromote(d *bluegreen.Desired)    { d.Promote = false }
func withoutStandby(d *bluegreen.Desired)    { d.KeepStandby = false }
func withThreeReplicas(d *bluegreen.Desired) { d.Release.Replicas = 3 }
func running(blue, green int) counts         { return counts{bluegreen.Blue: blue, bluegreen.Green: green} }

type counts = map[bluegreen.Environment]int

var (
	unknownText  = types.StringUnknown()
	unknownCount = types.Int64Unknown()
)

// serving is what the attributes say of the live release.
func serving(environment, version string, record types.String) [3]attr.Value {
	return [3]attr.Value{types.StringValue(environment), types.StringValue(version), record}
}

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
			before: empty, desired: wantRelease("1.0.0"),
			live:     serving("green", "1.0.0", unknownText),
			rollback: types.BoolValue(false), blueRuns: types.Int64Value(0), greenRuns: unknownCount,
			blueAt: "idle ", greenAt: "live 1.0.0",
		},
		"a first preview": {
			before: empty, desired: wantRelease("1.0.0", withoutPromote),
			live:     [3]attr.Value{types.StringNull(), types.StringNull(), types.StringNull()},
			rollback: types.BoolValue(false), blueRuns: types.Int64Value(0), greenRuns: unknownCount,
			blueAt: "idle ", greenAt: "ready 1.0.0",
		},
		"nothing to do": {
			before: statusAfter(t, deploySecond), running: running(2, 2), desired: wantRelease("2.0.0"),
			live:     serving("blue", "2.0.0", types.StringValue("deploy-2")),
			rollback: types.BoolValue(true), blueRuns: types.Int64Value(2), greenRuns: types.Int64Value(2),
			blueAt: "live 2.0.0", greenAt: "idle 1.0.0",
		},
		"the next release": {
			before: statusAfter(t, deploySecond), running: running(2, 2), desired: wantRelease("3.0.0"),
			live:     serving("green", "3.0.0", unknownText),
			rollback: types.BoolValue(true), blueRuns: types.Int64Value(2), greenRuns: unknownCount,
			blueAt: "idle 2.0.0", greenAt: "live 3.0.0",
		},
		"the next release over one that is half down": {
			before: statusAfter(t, deploySecond), running: running(1, 2), desired: wantRelease("3.0.0"),
			live:     serving("green", "3.0.0", unknownText),
			rollback: types.BoolUnknown(), blueRuns: unknownCount, greenRuns: unknownCount,
			blueAt: "idle 2.0.0", greenAt: "live 3.0.0",
		},
		"the next release, and the standby goes": {
			before: statusAfter(t), running: running(0, 2), desired: wantRelease("2.0.0", withoutStandby),
			live:     serving("blue", "2.0.0", unknownText),
			rollback: types.BoolValue(false), blueRuns: unknownCount, greenRuns: types.Int64Value(0),
			blueAt: "live 2.0.0", greenAt: "idle ",
		},
		"a preview while a release serves": {
			before: statusAfter(t), running: running(0, 2), desired: wantRelease("2.0.0", withoutPromote),
			live:     serving("green", "1.0.0", types.StringValue("deploy-1")),
			rollback: types.BoolValue(false), blueRuns: unknownCount, greenRuns: types.Int64Value(2),
			blueAt: "ready 2.0.0", greenAt: "live 1.0.0",
		},
		"a promotion": {
			before: statusAfter(t, deployPreview), running: running(2, 2), desired: wantRelease("2.0.0"),
			live:     serving("blue", "2.0.0", types.StringValue("deploy-2")),
			rollback: types.BoolValue(true), blueRuns: types.Int64Value(2), greenRuns: types.Int64Value(2),
			blueAt: "live 2.0.0", greenAt: "idle 1.0.0",
		},
		"a rollback": {
			before: statusAfter(t, deploySecond), running: running(2, 2), desired: wantRelease("2.0.0", withRollback),
			live:     serving("green", "1.0.0", unknownText),
			rollback: types.BoolValue(false), blueRuns: types.Int64Value(2), greenRuns: types.Int64Value(2),
			blueAt: "idle 2.0.0", greenAt: "live 1.0.0",
		},
		"forward again": {
			before: statusAfter(t, deploySecond, rollBack), running: running(2, 2),
			desired:  wantRelease("2.0.0", withRetry),
			live:     serving("blue", "2.0.0", unknownText),
			rollback: types.BoolValue(true), blueRuns: unknownCount, greenRuns: types.Int64Value(2),
			blueAt: "live 2.0.0", greenAt: "idle 1.0.0",
		},
		"more replicas": {
			before: statusAfter(t, deploySecond), running: running(2, 2),
			desired:  wantRelease("2.0.0", withThreeReplicas),
			live:     serving("blue", "2.0.0", types.StringValue("deploy-2")),
			rollback: types.BoolUnknown(), blueRuns: unknownCount, greenRuns: unknownCount,
			blueAt: "live 2.0.0", greenAt: "idle 1.0.0",
		},
		"a repair": {
			before: statusAfter(t, deploySecond), running: running(0, 2), desired: wantRelease("2.0.0"),
			live:     serving("blue", "2.0.0", types.StringValue("deploy-2")),
			rollback: types.BoolValue(true), blueRuns: unknownCount, greenRuns: types.Int64Value(2),
			blueAt: "live 2.0.0", greenAt: "idle 1.0.0",
		},
		"something runs where nothing should": {
			before: statusAfter(t), running: running(1, 2), desired: wantRelease("1.0.0"),
			live:     serving("green", "1.0.0", types.StringValue("deploy-1")),
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
			same("live_environment", f.attributes.LiveEnvironment, tt.live[0])
			same("live_version", f.attributes.LiveVersion, tt.live[1])
			same("deployment_id", f.attributes.DeploymentID, tt.live[2])
			same("rollback_available", f.attributes.RollbackAvailable, tt.rollback)
			blue, green := f.attributes.environments[bluegreen.Blue], f.attributes.environments[bluegreen.Green]
			same("ready_replicas of blue", blue.ReadyReplicas, tt.blueRuns)
			same("ready_replicas of green", green.ReadyReplicas, tt.greenRuns)
			same(
				"blue",
				types.StringValue(blue.State.ValueString()+" "+blue.Version.ValueString()),
				types.StringValue(tt.blueAt),
			)
			same(
				"green",
				types.StringValue(green.State.ValueString()+" "+green.Version.ValueString()),
				types.StringValue(tt.greenAt),
			)
		})
	}
}

// A plan with something to do differs from the state, or Terraform would not do it.
func TestForecastDiffersWhenSomethingIsToBeDone(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]bluegreen.Status{
		"one":     statusAfter(t),
		"two":     statusAfter(t, deploySecond),
		"back":    statusAfter(t, deploySecond, rollBack),
		"preview": statusAfter(t, deployPreview),
	} {
		for _, desired := range []bluegreen.Desired{
			wantRelease("1.0.0"), wantRelease("2.0.0"), wantRelease("3.0.0"),
			wantRelease("1.0.0", withoutStandby), wantRelease("2.0.0", withoutStandby),
			wantRelease("2.0.0", withoutPromote), wantRelease("2.0.0", withRollback),
			wantRelease("2.0.0", withThreeReplicas),
		} {
			for _, count := range []counts{running(2, 2), running(0, 2), running(2, 0), running(1, 1), running(0, 0)} {
				before.Running = count
				f, err := predict("web", before, desired)
				if err != nil {
					continue
				}
				now := observe("web", before, 100).model()
				then := f.attributes.model()
				if same := now.isEqual(then); same != (len(f.steps) == 0) {
					t.Errorf(
						"%s, %s, %v: steps %v, but the attributes are the same: %t",
						name,
						desired.Release.Version,
						count,
						f.steps,
						same,
					)
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
		"of the first release": {statusAfter(t), wantRelease("1.0.0", withRollback), bluegreen.ErrNothingToRollBackTo},
		"of a new release": {
			statusAfter(t, deploySecond), wantRelease("3.0.0", withRollback), bluegreen.ErrRollbackOfNewRelease,
		},
		"of a restored release": {
			statusAfter(t, deploySecond, rollBack), wantRelease("1.0.0", withRollback),
			bluegreen.ErrNothingToRollBackTo,
		},
	} {
		if _, err := predict("web", tt.before, tt.desired); !errors.Is(err, tt.want) {
			t.Errorf("a rollback %s: %v, not %v", name, err, tt.want)
		}
	}
}

// Known values of the plan are recorded even if the other environment has changed
// meanwhile. Unknown values are recorded as they were found.
func TestKeepPlanned(t *testing.T) {
	t.Parallel()
	before := statusAfter(t, deploySecond)
	f, err := predict("web", before, wantRelease("2.0.0", withThreeReplicas))
	if err != nil {
		t.Fatal(err)
	}
	planned := f.attributes.model()
	after := f.after
	after.Running = running(3, 3)
	asPlanned := observe("web", after, 100).model()
	kept, diags := keepPlanned(t.Context(), planned, asPlanned)
	if len(diags) > 0 || !kept.Environments.Equal(asPlanned.Environments) {
		t.Errorf("recorded as %v with %v", kept.Environments, diags)
	}

	f, err = predict("web", before, wantRelease("3.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	planned = f.attributes.model()
	after = f.after
	after.Running = running(1, 2)
	lame := observe("web", after, 100).model()
	kept, diags = keepPlanned(t.Context(), planned, lame)
	if diags.WarningsCount() != 1 || !kept.RollbackAvailable.ValueBool() {
		t.Errorf("recorded as %v with %v", kept, diags)
	}
	ready := kept.readyReplicas()
	if ready[bluegreen.Blue] != 2 || ready[bluegreen.Green] != 2 {
		t.Errorf("replicas are %v: those of blue were planned, those of green were not", ready)
	}
}

// The agent had to choose another port for the preview. The state keeps what was planned, and
// the warning names the attribute that is different.
func TestAnotherPreviewEndpointThanPlanned(t *testing.T) {
	t.Parallel()
	before := statusAfter(t, deploySecond)
	planned := observe("web", before, 100).model()
	moved := before
	moved.Preview = "http://127.0.0.1:4711"
	kept, diags := keepPlanned(t.Context(), planned, observe("web", moved, 100).model())
	if !kept.PreviewEndpoint.Equal(planned.PreviewEndpoint) || !kept.Endpoint.Equal(planned.Endpoint) {
		t.Errorf("the state has %s and %s", kept.Endpoint, kept.PreviewEndpoint)
	}
	want := "The attribute preview_endpoint is now http://127.0.0.1:4711."
	if len(diags) != 1 || !strings.HasPrefix(diags[0].Detail(), want) {
		t.Errorf("the warnings are %v", diags)
	}
}

// A refresh shows that the standby is not healthy. An apply can do nothing about it, so
// the plan is empty.
func TestUnhealthyStandbyIsNoChange(t *testing.T) {
	t.Parallel()
	before := statusAfter(t, deploySecond)
	before.Unready = map[bluegreen.Environment]int{before.Ledger.Staging(): 1}
	before.StandbyCauses = []string{"replica green-2 is not ready: http: GET /: 503"}
	found, private := observe("web", before, 100).model(), privateKeys{}
	if diags := writeStatus(t.Context(), private, before); diags.HasError() {
		t.Fatal(diags)
	}
	if ready := found.readyReplicas()[before.Ledger.Staging()]; ready != before.Running[before.Ledger.Staging()]-1 {
		t.Errorf("%d replicas of the standby are ready", ready)
	}
	prior := &deploymentModel{observedModel: found}
	base, diags := newPlanBase(t.Context(), prior, private, "web")
	if diags.HasError() {
		t.Fatal(diags)
	}
	f, err := predict("web", base.status, wantRelease("2.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	f.keepRollbackBlocked(found)
	planned := f.attributes.model()
	planned.Endpoint, planned.PreviewEndpoint = found.Endpoint, found.PreviewEndpoint
	if len(f.steps) > 0 || found.RollbackAvailable.ValueBool() || !planned.isEqual(found) {
		t.Errorf("found %v, planned %v by %v", found, planned, f.steps)
	}
}

// A plan says why no rollback will be available, if that is known before the apply.
func TestForecastOfWhyARollbackIsBlocked(t *testing.T) {
	t.Parallel()
	known := types.StringValue
	for name, tt := range map[string]struct {
		before  bluegreen.Status
		desired bluegreen.Desired
		prior   observedModel
		want    types.String
	}{
		"of the first release": {
			before: bluegreen.Status{Ledger: bluegreen.NewLedger("web")}, desired: wantRelease("1.0.0"),
			want: known("there is no release before this one"),
		},
		"not blocked": {
			before: statusAfter(t, deploySecond), desired: wantRelease("3.0.0"), want: types.StringNull(),
		},
		"by a preview": {
			before: statusAfter(t, deploySecond), desired: wantRelease("3.0.0", withoutPromote),
			want: known("the release before this one (deploy-1) is no longer in green: " +
				"the preview of 3.0.0 took its place"),
		},
		"because the standby is removed": {
			before: statusAfter(t, deploySecond), desired: wantRelease("2.0.0", withoutStandby),
			want: known("the release before this one (deploy-1) is no longer in green: it is empty"),
		},
		"by the rollback itself": {
			before: statusAfter(t, deploySecond), desired: wantRelease("2.0.0", withRollback),
			want: known("2.0.0 was itself rolled back (deploy-2)"),
		},
		"by replicas, and nothing changes": {
			before: withUnreadyStandby(statusAfter(t, deploySecond)), desired: wantRelease("2.0.0"),
			prior: observedModel{RollbackAvailable: types.BoolValue(false), RollbackBlocked: known("as before")},
			want:  known("as before"),
		},
		"by replicas since min_healthy_percent is higher": {
			before: withUnreadyStandby(statusAfter(t, deploySecond)), desired: wantRelease("2.0.0"),
			prior: observedModel{RollbackAvailable: types.BoolValue(true), RollbackBlocked: types.StringNull()},
			want:  types.StringUnknown(),
		},
		"by replicas, and the apply changes the size": {
			before: withUnreadyStandby(statusAfter(t, deploySecond)), desired: wantRelease("2.0.0", withThreeReplicas),
			prior: observedModel{RollbackAvailable: types.BoolValue(false), RollbackBlocked: known("as before")},
			want:  types.StringUnknown(),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := predict("web", tt.before, tt.desired)
			if err != nil {
				t.Fatal(err)
			}
			f.keepRollbackBlocked(tt.prior)
			if !f.attributes.RollbackBlocked.Equal(tt.want) {
				t.Errorf("rollback_blocked is %s, not %s", f.attributes.RollbackBlocked, tt.want)
			}
		})
	}
}

// withUnreadyStandby returns the status with one unhealthy replica in the standby.
func withUnreadyStandby(s bluegreen.Status) bluegreen.Status {
	s.Unready = counts{s.Ledger.Staging(): 1}
	return s
}

func TestRolledBackWarning(t *testing.T) {
	t.Parallel()
	before := statusAfter(t, deploySecond, rollBack)
	prior := &deploymentModel{Rollback: types.BoolValue(false)}
	plan := deploymentModel{Version: types.StringValue("2.0.0"), Rollback: types.BoolValue(false)}
	f, err := predict("web", before, wantRelease("2.0.0", withRetry))
	if err != nil {
		t.Fatal(err)
	}
	diags := rolledBackWarning(planBase{prior: prior, status: before}, plan, f)
	if len(diags) != 1 {
		t.Fatalf("diagnostics: %v", diags)
	}
	live, _ := before.Ledger.LiveRecord()
	want := "2.0.0 was rolled back at " + live.SwitchedAt.Format(
		time.RFC3339,
	) + " by ada@example pid 1: slow. Since then 1.0.0 serves from green. This plan deploys 2.0.0."
	if diags[0].Detail() != want {
		t.Errorf("it says %q, not %q", diags[0].Detail(), want)
	}

	prior.Rollback = types.BoolValue(true)
	if diags := rolledBackWarning(planBase{prior: prior, status: before}, plan, f); len(diags) > 0 {
		t.Errorf("a rollback that was asked for has warnings: %v", diags)
	}
}

// A release that was rolled back is not planned again. The error says who took it out of
// service, what serves, and how to continue.
func TestRolledBackReleaseIsRefused(t *testing.T) {
	t.Parallel()
	before := statusAfter(t, deploySecond, rollBack)
	_, err := predict("web", before, wantRelease("2.0.0"))
	var rolledBack *bluegreen.RolledBackError
	if !errors.As(err, &rolledBack) {
		t.Fatalf("got %v", err)
	}
	const byWatch = "The watch after its switch found it unhealthy."
	for origin, isWatch := range map[bluegreen.Origin]bool{bluegreen.FromOperator: false, bluegreen.FromWatch: true} {
		rolledBack.Rollback.Origin = origin
		plan := deploymentModel{Version: types.StringValue("2.0.0"), Retry: types.StringValue("deploy-1")}
		d := impossiblePlan(planBase{status: before}, plan, err)
		for _, want := range []string{
			"2.0.0 was rolled back at ", " by ada@example pid 1: slow. Since then 1.0.0 serves from green.\n",
			`try 2.0.0 once more, with retry = "deploy-2"`,
			`retry = "deploy-1" names another record than deploy-2, and has no effect.`,
		} {
			if !strings.Contains(d.Detail(), want) {
				t.Errorf("%q is missing in %q", want, d.Detail())
			}
		}
		if strings.HasPrefix(d.Detail(), byWatch) != isWatch || d.Summary() != rolledBackSummary {
			t.Errorf("%s: %s: %s", origin, d.Summary(), d.Detail())
		}
	}
}

// A create may adopt a workload, which becomes blue. An update never does.
func TestOnlyACreateMayAdopt(t *testing.T) {
	t.Parallel()
	r := deploymentResource{}
	planned := func(base planBase) attr.Value {
		t.Helper()
		plan := deploymentModel{
			Name: types.StringValue("web"), Version: types.StringValue("1.0.0"), Image: types.StringValue("web"),
			Replicas: types.Int64Value(2), Promote: types.BoolValue(true), Rollback: types.BoolValue(false),
			Standby: types.StringValue(standbyKeep), Command: types.ListNull(types.StringType),
			Args: types.ListNull(types.StringType), Env: types.MapNull(types.StringType),
			Triggers: types.MapNull(types.StringType), EnvWO: types.MapNull(types.StringType),
			platformsModel: onKubernetes(t),
		}
		if diags := r.plan(t.Context(), &plan, base); diags.HasError() {
			t.Fatal(diags)
		}
		blue, _ := plan.Environments.Elements()[string(bluegreen.Blue)].(types.Object)
		return blue.Attributes()["state"]
	}
	create := planBase{status: bluegreen.Status{Ledger: bluegreen.NewLedger("web")}}
	if state := planned(create); !state.IsUnknown() {
		t.Errorf("a create plans %s for blue", state)
	}
	update := planBase{prior: &deploymentModel{platformsModel: onKubernetes(t)}, status: statusAfter(t, deploySecond)}
	if state := planned(update); state.IsUnknown() {
		t.Error("an update does not know what blue will be")
	}
}

// onKubernetes returns the blocks of a deployment on Kubernetes that may adopt a workload.
func onKubernetes(t *testing.T) platformsModel {
	t.Helper()
	attribute, _ := deploymentSchema(t.Context()).Attributes[kindKubernetes].GetType().(types.ObjectType)
	values := map[string]attr.Value{}
	for name, attributeType := range attribute.AttrTypes {
		null, err := attributeType.ValueFromTerraform(t.Context(), tftypes.NewValue(
			attributeType.TerraformType(t.Context()), nil))
		if err != nil {
			t.Fatal(err)
		}
		values[name] = null
	}
	values["port"], values["adopt"] = types.Int64Value(80), types.BoolValue(true)
	return platformsModel{Kubernetes: types.ObjectValueMust(attribute.AttrTypes, values)}
}

// Terraform plans before it destroys, so what would fail an apply must not fail the
// plan of a deployment that is partly destroyed, or of one that has gone.
func TestPartlyDestroyedDeploymentCanBePlanned(t *testing.T) {
	t.Parallel()
	r := deploymentResource{}
	for _, isDestroying := range []bool{false, true} {
		plan := deploymentModel{
			Name: types.StringValue("web"), Version: types.StringValue("1.0.0"), Image: types.StringValue("/bin/sh"),
			Replicas: types.Int64Value(2), Promote: types.BoolValue(true), Rollback: types.BoolValue(true),
			Standby: types.StringValue(standbyKeep), Command: types.ListNull(types.StringType),
			Args: types.ListNull(types.StringType), Env: types.MapNull(types.StringType),
			Triggers: types.MapNull(types.StringType), EnvWO: types.MapNull(types.StringType),
		}
		ledger := bluegreen.NewLedger("web")
		ledger.Destroying = isDestroying
		diags := r.plan(t.Context(), &plan, planBase{status: bluegreen.Status{Ledger: ledger}})
		if diags.HasError() || diags.WarningsCount() != 1 {
			t.Errorf("a deployment that is being destroyed (%t): %v", isDestroying, diags)
		}
	}
}
