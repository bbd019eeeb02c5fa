// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// replacementWarning warns of a plan that destroys the deployment and creates another one, with
// this id at this location. There is no blue and green between two deployments. Terraform does not
// tell a provider which of them it does first.
func replacementWarning(prior *deploymentModel, from string, id types.String, where location) diag.Diagnostic {
	other := "another deployment"
	if isSet(id) {
		other = fmt.Sprintf("%q on %s", id.ValueString(), where.kind())
	}
	createFirst := "With lifecycle { create_before_destroy = true } the other one is created first, and there is no " +
		"interruption. It needs an address of its own then."
	if next := where.endpoints("", nil, endpoints{}).live; isSet(next) && next.Equal(prior.Endpoint) {
		createFirst = fmt.Sprintf("With lifecycle { create_before_destroy = true } the other one is created first. "+
			"This apply then fails, because both have the address %s: give the other one an address of its own.",
			next.ValueString())
	}
	return diag.NewWarningDiagnostic("The deployment is replaced", fmt.Sprintf(
		"This plan destroys %q on %s, with the live release, its standby and its history, and creates %s. "+
			"There is nothing to roll back to.\n\n"+
			"By default it is destroyed first, and nothing serves until the other one is healthy. %s\n\n"+
			"To keep the deployment, undo the change of the name, the namespace or the platform.",
		prior.ID.ValueString(), from, other, createFirst))
}

// refuseDestroy returns an error if the deployment is protected from being destroyed.
func (m deploymentModel) refuseDestroy() diag.Diagnostics {
	if !m.DeletionProtection.ValueBool() {
		return nil
	}
	return diag.Diagnostics{diag.NewAttributeErrorDiagnostic(path.Root("deletion_protection"),
		"The deployment is protected from being destroyed", fmt.Sprintf(
			"%q, which serves %s, has deletion_protection = true, and this plan destroys it, alone or to replace it. "+
				"Nothing was changed.\n\nTo destroy it all the same, set deletion_protection = false, apply, and then "+
				"destroy it. To keep it if it is tainted, run \"terraform untaint\" with its address. To deploy the "+
				"same version once more, change triggers instead of using -replace.",
			m.ID.ValueString(), cmp.Or(m.LiveVersion.ValueString(), "nothing")))}
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
				"was not the last one to be deployed: %s serves.%s\n\nTo deploy the configured release, set "+
				"rollback = false. To stay rolled back, restore the configuration of the release that was rolled back.",
			plan.Version.ValueString(), live.Version, describeChanges(base.prior, plan)))
	default:
		return diag.NewAttributeErrorDiagnostic(attribute, "There is nothing to roll back to", fmt.Sprintf(
			"%s serves, and %v.\n\nSet rollback = false. To get another version, deploy it as a new release.",
			live.Version, base.status.RollbackBlocked(100)))
	}
}

// describeChanges says which settings of the release have changed since the last apply, "" if that
// is not known.
func describeChanges(prior *deploymentModel, plan deploymentModel) string {
	if prior == nil {
		return ""
	}
	var changed []string
	for _, setting := range []struct {
		name          string
		before, after attr.Value
	}{
		{"version", prior.Version, plan.Version},
		{"image", prior.Image, plan.Image},
		{"command", prior.Command, plan.Command},
		{"args", prior.Args, plan.Args},
		{"env", prior.Env, plan.Env},
		{"env_wo_version", prior.EnvWOVersion, plan.EnvWOVersion},
		{"triggers", prior.Triggers, plan.Triggers},
		{"local", prior.Local, plan.Local},
		{"docker", prior.Docker, plan.Docker},
		{"kubernetes", prior.Kubernetes, plan.Kubernetes},
	} {
		if !setting.before.Equal(setting.after) {
			changed = append(changed, setting.name)
		}
	}
	if changed == nil {
		return ""
	}
	return " Changed since the last apply: " + strings.Join(changed, ", ") + "."
}

// sizeForTrafficWarning says that the apply starts replicas before the traffic moves, if it does.
func sizeForTrafficWarning(base planBase, plan deploymentModel, expected forecast) diag.Diagnostics {
	l := base.status.Ledger
	env := l.Staging()
	size, needsMore := l.SizeForTraffic(env)
	isRollback := expected.hasStep(bluegreen.StepRollback)
	isUnchecked := plan.RollbackCheck.Equal(types.BoolValue(false))
	if !needsMore || isRollback && isUnchecked || !isRollback && !expected.hasStep(bluegreen.StepPromote) {
		return nil
	}
	release := l.Slot(env).Release
	skip := ""
	if isRollback {
		skip = " To roll back without that, set rollback_check = false."
	}
	return diag.Diagnostics{diag.NewWarningDiagnostic("Replicas are started before the traffic moves", fmt.Sprintf(
		"%s in %s has %d replicas, and live has %d. The apply brings it to the size of live and checks it first.%s",
		release.Version, env, release.Replicas, size, skip))}
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
