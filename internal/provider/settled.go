// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// settle returns what found is recorded as after an apply that was planned.
//
// Terraform takes no result that differs from a known value of the plan. Who is
// live does not differ: an apply that ended otherwise has failed. But a replica
// of the standby may have died a moment ago, or its removal may have failed, and
// that is no reason to fail. So what is beside live stays in the state as it was
// planned until the next refresh, and a warning says so.
func settle(ctx context.Context, planned, found observedModel) (observedModel, diag.Diagnostics) {
	var diags diag.Diagnostics
	settled := found
	if !planned.RollbackAvailable.IsUnknown() {
		settled.RollbackAvailable = planned.RollbackAvailable
	}
	if !planned.Endpoint.IsUnknown() {
		settled.Endpoint = planned.Endpoint
	}
	if !planned.PreviewEndpoint.IsUnknown() {
		settled.PreviewEndpoint = planned.PreviewEndpoint
	}
	environments, asPlanned := settleMap(ctx, planned.Environments, found.Environments)
	settled.Environments = environments
	if !settled.Endpoint.Equal(found.Endpoint) || !settled.PreviewEndpoint.Equal(found.PreviewEndpoint) {
		diags.AddWarning("Clients find the deployment elsewhere than planned",
			fmt.Sprintf("Its endpoint is %s now, as when a load balancer has got its address during the apply. The next plan shows it.", found.Endpoint.ValueString()))
	}
	if !asPlanned || !settled.RollbackAvailable.Equal(found.RollbackAvailable) {
		diags.AddWarning("The deployment is not quite as it was planned",
			"The configured release serves, but what runs beside it has changed during the apply: a replica has stopped, an autoscaler has been at work, "+
				"or the old environment could not be removed. The next plan shows what there is.")
	}
	return settled, diags
}

// settleMap returns the map of objects planned with its unknown values replaced
// by those found, and whether the known ones are as found.
func settleMap(ctx context.Context, planned, found types.Map) (types.Map, bool) {
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
