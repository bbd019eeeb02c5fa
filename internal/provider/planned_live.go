// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// keepLive plans what is known of live while a part of the release is not: with promote = false, no
// release takes its place. How many of its replicas are ready, and what staging holds, only the
// apply tells.
func (m *deploymentModel) keepLive(ctx context.Context, base planBase) {
	ledger := base.status.Ledger
	if base.prior == nil || ledger.Destroying || !ledger.IsServing() || m.hasUnknownPlatform() || !isSet(m.Name) ||
		!isFullyKnown(ctx, m.Promote, m.Rollback) || m.Promote.ValueBool() || m.Rollback.ValueBool() {
		return
	}
	prior := base.prior.observedModel
	m.LiveEnvironment, m.StagingEnvironment = prior.LiveEnvironment, prior.StagingEnvironment
	m.LiveVersion, m.LiveImage, m.DeploymentID = prior.LiveVersion, prior.LiveImage, prior.DeploymentID

	environments := map[string]attr.Value{}
	for _, env := range bluegreen.Environments() {
		environments[env.String()] = types.ObjectUnknown(environmentType.AttrTypes)
	}
	live, isObject := prior.Environments.Elements()[ledger.Live.String()].(types.Object)
	if !isObject {
		return
	}
	known := maps.Clone(live.Attributes())
	known[readyReplicas] = types.Int64Unknown()
	if !m.Replicas.Equal(known["replicas"]) {
		known["replicas"] = types.Int64Unknown()
	}
	environments[ledger.Live.String()] = types.ObjectValueMust(environmentType.AttrTypes, known)
	m.Environments = types.MapValueMust(environmentType, environments)
}
