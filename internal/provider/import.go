// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
)

// ImportState imports a deployment by its id or its identity. Read fills in the rest.
func (r *deploymentResource) ImportState(
	ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse,
) {
	identity := identityOf(req.ID)
	if req.ID == "" {
		resp.Diagnostics.Append(req.Identity.Get(ctx, &identity)...)
	}
	platform, namespace := stringOr(identity.Platform, kindLocal), stringOr(identity.Namespace, defaultNamespace)
	if !slices.Contains(kinds, platform) {
		resp.Diagnostics.AddError(
			"Unknown platform",
			fmt.Sprintf("There is no platform %q. Use one of %s.", platform, strings.Join(kinds, ", ")),
		)
	}
	for what, name := range map[string]string{"a deployment": identity.Name.ValueString(), "a namespace": namespace} {
		if !dnsLabel.MatchString(name) {
			resp.Diagnostics.AddError(
				"Invalid import ID",
				fmt.Sprintf("%q is not a valid name of %s: it must be a DNS label. "+
					"An import ID is NAME on local, docker://NAME on Docker, or NAMESPACE/NAME on "+
					"Kubernetes.", name, what),
			)
		}
	}
	if resp.Diagnostics.HasError() {
		return
	}
	identity.Platform = types.StringValue(platform)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("name"), identity.Name)...)
	switch platform {
	case kindDocker:
		for name, otherwise := range map[string]any{
			"protocol": string(protocol.HTTP), "read_only": false, "replace_agent": false,
		} {
			attribute := path.Root(kindDocker).AtName(name)
			resp.Diagnostics.Append(resp.State.SetAttribute(ctx, attribute, otherwise)...)
		}
	case kindKubernetes:
		identity.Namespace = types.StringValue(namespace)
		where := path.Root(kindKubernetes).AtName("namespace")
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, where, namespace)...)
	}
	resp.Diagnostics.Append(resp.Identity.Set(ctx, identity)...)
}

// missingVariablesWarning warns of a plan that deploys a release without the environment
// variables that the one that serves has. The state of an imported deployment has none.
func missingVariablesWarning(base planBase, plan deploymentModel, expected forecast) diag.Diagnostics {
	ledger := base.status.Ledger
	// What env_wo has is in no plan.
	if base.prior == nil || !base.prior.Env.IsNull() || !base.prior.EnvWOVersion.IsNull() ||
		!plan.EnvWOVersion.IsNull() || !ledger.IsServing() || !expected.hasDeploy() {
		return nil
	}
	serving, planned := ledger.Slot(ledger.Live).Release, plan.Env.Elements()
	missing := slices.DeleteFunc(slices.Clone(serving.EnvNames), func(name string) bool {
		return planned[name] != nil
	})
	if len(missing) == 0 {
		return nil
	}
	return diag.Diagnostics{diag.NewAttributeWarningDiagnostic(path.Root("env"),
		"The plan deploys a release without some environment variables", fmt.Sprintf(
			"%s, which serves, has variables that neither the state nor the configuration has: %s. An import cannot "+
				"read their values. Add them to env or env_wo if the release needs them.",
			serving.Version, strings.Join(missing, ", ")))}
}

// fillFromLedger fills in an imported deployment: what the ledger holds, and the
// defaults of everything else. The ledger holds no values of environment variables.
func (m *deploymentModel) fillFromLedger(ctx context.Context, ledger bluegreen.Ledger) diag.Diagnostics {
	m.Promote = types.BoolValue(defaultPromote)
	m.Rollback = types.BoolValue(defaultRollback)
	m.Standby = types.StringValue(defaultStandby)
	m.BakeTime = duration(defaultBakeTime)
	m.SwitchTimeout = duration(bluegreen.DefaultConfig().SwitchTimeout)
	m.DrainTimeout = duration(defaultDrainTimeout)
	m.HistoryLimit = types.Int64Value(int64(ledger.HistoryLimit))

	slot := ledger.Slot(ledger.Live)
	if !ledger.IsServing() {
		slot = ledger.Slot(ledger.Staging())
	}
	if slot.Release == nil {
		return nil
	}
	m.Version = types.StringValue(slot.Release.Version)
	m.Image = types.StringValue(slot.Release.Image)
	if !slot.Release.Autoscaled {
		m.Replicas = types.Int64Value(int64(slot.Release.Replicas))
	}
	var diags, more diag.Diagnostics
	m.Command, diags = listOrNull(ctx, slot.Release.Command)
	m.Args, more = listOrNull(ctx, slot.Release.Args)
	diags.Append(more...)
	return diags
}

// duration formats d as the schema formats its defaults, so that an import shows no
// difference. What is no whole number of seconds is written as Go does: "100ms".
func duration(d time.Duration) durationValue {
	if d%time.Second != 0 {
		return newDuration(d)
	}
	return durationValue{timetypes.NewGoDurationValueFromStringMust(inSeconds(d))}
}

func listOrNull(ctx context.Context, values []string) (types.List, diag.Diagnostics) {
	if len(values) == 0 {
		return types.ListNull(types.StringType), nil
	}
	return types.ListValueFrom(ctx, types.StringType, values)
}
