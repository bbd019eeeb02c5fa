// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// replacementWarning warns of a plan that destroys the deployment and creates
// another one. There is no blue and green between two deployments.
func replacementWarning(before types.String, from string, after types.String, to string) diag.Diagnostic {
	other := "another deployment"
	if isSet(after) {
		other = fmt.Sprintf("%q on %s", after.ValueString(), to)
	}
	return diag.NewWarningDiagnostic("The deployment is replaced, with an interruption", fmt.Sprintf(
		"This plan destroys %q on %s, with the live release, its standby and its history, and then creates %s. "+
			"Nothing serves until the new deployment is healthy. If it fails, there is nothing to roll back to.\n\n"+
			"To keep the deployment, undo the change of the name, the namespace or the platform. To replace it "+
			"without an interruption, set lifecycle { create_before_destroy = true }: this creates the new deployment "+
			"first, and is possible if the two do not use the same address.", before.ValueString(), from, other))
}

// impossiblePlan says why what is configured is impossible.
func impossiblePlan(base planBase, plan deploymentModel, err error) diag.Diagnostic {
	var rolledBack *bluegreen.RolledBackError
	if errors.As(err, &rolledBack) {
		return diag.NewAttributeErrorDiagnostic(path.Root("version"), rolledBackSummary, paragraphs(
			describeRefusal(base.status.Ledger, rolledBack)+".",
			describeRetry(plan.Retry.ValueString(), rolledBack),
			describeOptions(plan.Version.ValueString(), rolledBack)))
	}
	return rollbackError(base, plan, err)
}

// rolledBackSummary is the summary of an error about a release that is not deployed again.
const rolledBackSummary = "The release was rolled back and is not deployed again"

// describeRefusal says what was taken out of service, when, who did it and why, and what
// serves since then.
func describeRefusal(ledger bluegreen.Ledger, e *bluegreen.RolledBackError) string {
	live := e.Rollback
	text := describeRollback(ledger, live)
	if live.Origin == bluegreen.FromWatch {
		text = "The watch after its switch found it unhealthy. " + text
	}
	return fmt.Sprintf("%s. Since then %s serves from %s", text, live.Version, live.Environment)
}

// describeRetry says that retry, if it is set, names another record than the one of e.
func describeRetry(retry string, e *bluegreen.RolledBackError) string {
	if retry == "" {
		return ""
	}
	return fmt.Sprintf("retry = %q names another record than %s, and has no effect.", retry, e.Record)
}

// describeOptions says how to continue after a rollback that the configuration did not ask for.
func describeOptions(version string, e *bluegreen.RolledBackError) string {
	return fmt.Sprintf("It is not deployed again automatically. You can:\n"+
		"  - configure another release\n"+
		"  - keep the release that serves with rollback = true, also to destroy the deployment\n"+
		"  - try %s once more, with retry = %q", version, e.Record)
}

// rollbackError says why the rollback that is configured is impossible.
func rollbackError(base planBase, plan deploymentModel, err error) diag.Diagnostic {
	attribute := path.Root("rollback")
	live, serving := base.status.Ledger.LiveRecord()
	switch {
	case !serving:
		return diag.NewAttributeErrorDiagnostic(attribute, "There is nothing to roll back to",
			"No release of this deployment serves yet. Set rollback = false, or remove the argument.")
	case errors.Is(err, bluegreen.ErrRollbackOfNewRelease):
		return diag.NewAttributeErrorDiagnostic(attribute, "A new release cannot be rolled back", fmt.Sprintf(
			"rollback = true replaces the configured release with the release before it. The configured release, %s, "+
				"was not the last one to be deployed: %s serves.\n\nTo deploy the configured release, set "+
				"rollback = false. To stay rolled back, restore the configuration of the release that was rolled back.",
			plan.Version.ValueString(), live.Version))
	default:
		return diag.NewAttributeErrorDiagnostic(attribute, "There is nothing to roll back to", fmt.Sprintf(
			"%s serves, and %v.\n\nSet rollback = false. To get another version, deploy it as a new release.",
			live.Version, base.status.RollbackBlocked(100)))
	}
}

// partlyDestroyedWarning warns of a rollback in a deployment whose destroy was
// interrupted.
func partlyDestroyedWarning() diag.Diagnostic {
	return diag.NewAttributeWarningDiagnostic(
		path.Root("rollback"),
		"The deployment is partly destroyed",
		"A destroy was interrupted, and there is nothing to roll back to any more. An apply with rollback = true "+
			"fails. Run terraform destroy to complete the destroy, or set rollback = false to deploy the configured "+
			"release again.",
	)
}

// rolledBackWarning warns of a rollback that the configuration did not ask for and
// that this plan undoes.
func rolledBackWarning(base planBase, plan deploymentModel, expected forecast) diag.Diagnostics {
	live, _ := base.status.Ledger.LiveRecord()
	if live.Operation != bluegreen.OpRollback || plan.Rollback.ValueBool() || base.prior.Rollback.ValueBool() ||
		!expected.hasDeploy() {
		return nil
	}
	return diag.Diagnostics{diag.NewAttributeWarningDiagnostic(path.Root("version"), "The deployment was rolled back",
		fmt.Sprintf("%s. Since then %s serves from %s. This plan deploys %s.",
			describeRollback(base.status.Ledger, live), live.Version, live.Environment, plan.Version.ValueString()))}
}

// describeRollback says what a rollback took out of service, when, who did it and why.
func describeRollback(ledger bluegreen.Ledger, record bluegreen.Record) string {
	text := "The release before it was rolled back"
	if replaced, known := ledger.Record(record.Replaced); known {
		text = replaced.Version + " was rolled back"
	}
	if record.SwitchedAt != nil {
		text += " at " + record.SwitchedAt.UTC().Format(time.RFC3339)
	}
	if record.Actor != "" {
		text += " by " + record.Actor
	}
	if record.Reason != "" {
		text += ": " + record.Reason
	}
	return text
}
