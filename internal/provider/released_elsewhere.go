// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// This file is about releases that somebody else has made: another pipeline, another state or
// an operator. With ignore_changes = [version, image], Terraform plans what the state says, so
// the refresh writes the version and the image of such a release into the state.

// appliedKey is the key of a record's ID in the private state: the record that was live when
// this state's configuration was applied last, "" if none was. If another record is live,
// somebody else has made the release that serves.
const appliedKey = "applied_record"

// readApplied returns the record that the last apply left live. The state of an earlier version
// says only which record was live when it was read.
func readApplied(ctx context.Context, private privateReader) (string, diag.Diagnostics) {
	applied, isStored, diags := storedApplied(ctx, private)
	if isStored || diags.HasError() {
		return applied, diags
	}
	content, diags := private.GetKey(ctx, ledgerKey)
	var ledger bluegreen.Ledger
	if diags.HasError() || json.Unmarshal(content, &ledger) != nil {
		return "", diags
	}
	return liveRecordID(ledger), diags
}

// storedApplied returns what the private state has under appliedKey, and whether it has it.
func storedApplied(ctx context.Context, private privateReader) (string, bool, diag.Diagnostics) {
	var applied string
	content, diags := private.GetKey(ctx, appliedKey)
	if len(content) == 0 || json.Unmarshal(content, &applied) != nil {
		return "", false, diags
	}
	return applied, true, diags
}

func writeApplied(ctx context.Context, private privateWriter, record string) diag.Diagnostics {
	content, err := json.Marshal(record)
	if err != nil {
		return diag.Diagnostics{diag.NewErrorDiagnostic("The record cannot be stored in the state", sentence(err))}
	}
	return private.SetKey(ctx, appliedKey, content)
}

// liveRecordID returns the ID of the live record, "" if nothing serves.
func liveRecordID(ledger bluegreen.Ledger) string {
	live, _ := ledger.LiveRecord()
	return live.ID
}

// appliedAfter returns the record that an apply leaves live. An apply that failed has not made
// a record of another process: it may have failed because of it.
func (o openDeployment) appliedAfter(ledger bluegreen.Ledger, before string, err error) string {
	live, _ := ledger.LiveRecord()
	if err != nil && live.Actor != o.Actor {
		return before
	}
	return live.ID
}

// refreshRelease takes the version and the image of live into the state if somebody else has
// made the release since the last apply. A preview of somebody else is none of it.
func (m *deploymentModel) refreshRelease(ledger bluegreen.Ledger, applied string) {
	if live := liveRecordID(ledger); live == "" || live == applied {
		return
	}
	release := ledger.Slot(ledger.Live).Release
	m.Version = types.StringValue(release.Version)
	m.Image = types.StringValue(release.Image)
}

// takenBackWarning warns of a plan that replaces a release of somebody else.
func takenBackWarning(base planBase, plan deploymentModel, expected forecast) diag.Diagnostics {
	live, _ := base.status.Ledger.LiveRecord()
	if !base.isReleasedElsewhere || live.Operation != bluegreen.OpDeploy || !expected.hasDeploy() {
		return nil
	}
	detail := fmt.Sprintf("%s This plan deploys %s instead of it.", describeDeploy(live), plan.Version.ValueString())
	if live.Version == plan.Version.ValueString() && live.Image == plan.Image.ValueString() {
		detail = describeDeploy(live) + " This plan deploys the same version again, because other settings of the " +
			"release, such as env, command or triggers, are not the configured ones."
	}
	return diag.Diagnostics{diag.NewAttributeWarningDiagnostic(path.Root("version"),
		"The plan replaces a release that was made elsewhere",
		detail+"\n\nTo leave releases to others, set lifecycle { ignore_changes = [version, image] }.")}
}

// describeDeploy says who deployed the release of a record, and when.
func describeDeploy(record bluegreen.Record) string {
	text := record.Version + " was deployed"
	if record.Actor != "" {
		text += " by " + record.Actor
	}
	return fmt.Sprintf("%s at %s (%s), by no apply that this state knows.",
		text, record.DeployedAt.UTC().Format(time.RFC3339), record.ID)
}

// refuseLateRollback refuses to roll back a release of somebody else because of a
// rollback = true that was applied before it was made.
func refuseLateRollback(base planBase, plan deploymentModel) diag.Diagnostics {
	live, _ := base.status.Ledger.LiveRecord()
	if !base.isReleasedElsewhere || live.Operation != bluegreen.OpDeploy ||
		!base.prior.Rollback.ValueBool() || !plan.Rollback.ValueBool() {
		return nil
	}
	return diag.Diagnostics{diag.NewAttributeErrorDiagnostic(path.Root("rollback"),
		"The rollback is older than the release that serves", fmt.Sprintf(
			"%s rollback = true was applied before, and does not apply to it. Nothing was touched.\n\n"+
				"To keep %s, set rollback = false. To roll it back, apply rollback = false first, and then "+
				"rollback = true.", describeDeploy(live), live.Version))}
}
