// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// keepPlanned returns what an apply that succeeded records: what was found, except
// for the known values of the plan.
//
// Terraform refuses a result that differs from a known value of the plan. Which
// release is live never differs: such an apply has failed. But a replica of the
// standby may have stopped a moment ago, or its removal may have failed. The state
// then keeps the planned value until the next refresh, and a warning says so.
func keepPlanned(ctx context.Context, planned, found observedModel) (observedModel, diag.Diagnostics) {
	var diags diag.Diagnostics
	kept := found
	if !planned.RollbackAvailable.IsUnknown() {
		kept.RollbackAvailable = planned.RollbackAvailable
	}
	if !planned.RollbackBlocked.IsUnknown() {
		kept.RollbackBlocked = planned.RollbackBlocked
	}
	if !planned.Drift.IsUnknown() {
		kept.Drift = planned.Drift
	}
	if !planned.Endpoint.IsUnknown() {
		kept.Endpoint = planned.Endpoint
	}
	if !planned.PreviewEndpoint.IsUnknown() {
		kept.PreviewEndpoint = planned.PreviewEndpoint
	}
	environments, asPlanned := keepPlannedObjects(ctx, planned.Environments, found.Environments)
	kept.Environments = environments
	diags.Append(compareEndpoint("endpoint", kept.Endpoint, found.Endpoint)...)
	diags.Append(compareEndpoint("preview_endpoint", kept.PreviewEndpoint, found.PreviewEndpoint)...)
	if !asPlanned || !kept.RollbackAvailable.Equal(found.RollbackAvailable) || !kept.Drift.Equal(found.Drift) {
		diags.AddWarning(
			"The deployment differs from the plan",
			"The configured release serves, but the number of its replicas or the other environment changed during "+
				"the apply: a replica stopped, an autoscaler changed the size, somebody changed an object, or the "+
				"old environment was not removed. The next plan shows the difference.",
		)
	}
	return kept, diags
}

func compareEndpoint(name string, planned, found types.String) diag.Diagnostics {
	if planned.Equal(found) {
		return nil
	}
	return diag.Diagnostics{diag.NewWarningDiagnostic("The endpoint differs from the plan", fmt.Sprintf(
		"The attribute %s is now %s. It changed during the apply, for example because a load balancer got its "+
			"address, or because another program had taken a port. The next plan shows it.",
		name, found.ValueString(),
	))}
}

// keepPlannedObjects returns the map of objects found with the known values of
// planned, and whether those are as found.
func keepPlannedObjects(ctx context.Context, planned, found types.Map) (types.Map, bool) {
	if planned.IsUnknown() || planned.IsNull() {
		return found, true
	}
	same := true
	elements := map[string]attr.Value{}
	for key, value := range found.Elements() {
		elements[key] = value
		actual, isObject := value.(types.Object)
		expected, wasPlanned := planned.Elements()[key].(types.Object)
		if !isObject || !wasPlanned || expected.IsUnknown() {
			continue
		}
		attributes := actual.Attributes()
		for name, known := range expected.Attributes() {
			if !known.IsUnknown() {
				same = same && known.Equal(attributes[name])
				attributes[name] = known
			}
		}
		elements[key] = types.ObjectValueMust(actual.AttributeTypes(ctx), attributes)
	}
	return types.MapValueMust(found.ElementType(ctx), elements), same
}
