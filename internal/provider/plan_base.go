// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// planBase is what a plan is made from.
type planBase struct {
	// prior is nil for a deployment that does not exist yet.
	prior  *deploymentModel
	status bluegreen.Status
	// isCreate is set if Terraform plans a create. It does not tell whether that is one half of a
	// replacement.
	isCreate bool
	// isReleasedElsewhere reports whether somebody else has made the release that serves, since
	// the last apply of this state.
	isReleasedElsewhere bool
}

// newPlanBase returns the base of a plan for the deployment called name: the prior
// state and the ledger that the state was read from.
func newPlanBase(
	ctx context.Context, prior *deploymentModel, private privateReader, name string,
) (planBase, diag.Diagnostics) {
	if prior == nil {
		return planBase{status: bluegreen.Status{
			Ledger: bluegreen.NewLedger(name), Running: map[bluegreen.Environment]int{},
		}}, nil
	}
	ledger, diags := readLedger(ctx, private)
	unready, more := readUnready(ctx, private)
	diags.Append(more...)
	applied, more := readApplied(ctx, private)
	diags.Append(more...)
	status := bluegreen.Status{Ledger: ledger, Running: prior.readyReplicas(), Unready: unready}
	for env, n := range unready {
		status.Running[env] += n
	}
	target, ok := ledger.RollbackTarget()
	if ok && status.CanRollBack(100) && prior.RollbackAvailable.Equal(types.BoolValue(false)) {
		// All replicas of the standby run, and still the refresh found no rollback
		// available. So the platform holds them to be unhealthy. The state of an earlier
		// version keeps that nowhere else.
		status.Unready = map[bluegreen.Environment]int{target.Environment: status.Running[target.Environment]}
	}
	live := liveRecordID(ledger)
	return planBase{prior: prior, status: status, isReleasedElsewhere: live != "" && live != applied}, diags
}

// plannedID returns the id of the deployment at a location, unknown while its name
// or its platform is.
func (m *deploymentModel) plannedID(where location) types.String {
	if !isSet(m.Name) || m.hasUnknownPlatform() {
		return types.StringUnknown()
	}
	return where.id(m.Name.ValueString())
}

// planReplicas replaces a size that is not configured with the default of the
// platform. A platform that can autoscale has none.
func (m *deploymentModel) planReplicas() {
	switch {
	case !m.Replicas.IsNull():
	case m.hasUnknownPlatform():
		m.Replicas = types.Int64Unknown()
	case !m.workload().canAutoscale():
		m.Replicas = types.Int64Value(defaultReplicas)
	}
}
