// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes"
)

// errMovedOn: an apply succeeded, and a moment later something else serves.
var errMovedOn = errors.New("somebody else has changed the deployment right after this apply did")

// advice is what a failure is called, and what to do about it.
type advice struct {
	is      error
	summary string
	next    string
}

// advices are tried in order: what says more comes first.
var advices = []advice{
	{bluegreen.ErrExists, "A deployment of this name exists already", ""},
	{bluegreen.ErrPlanStale, "The plan is stale", "Plan again and look at what has changed before you apply."},
	{bluegreen.EnvironmentBusy, "The deployment is busy", "Apply again when that is done. A holder that has died loses the deployment by itself."},
	{bluegreen.Interrupted, "The operation was interrupted", "Apply again to go on: what was begun is finished or undone then."},
	{bluegreen.Timeout, "The operation took too long", "Look at what it waited for, or give it more time in timeouts, health_check.timeout or switch_timeout."},
	{bluegreen.HealthCheckFailed, "The release is not healthy", "Correct the release, or health_check if it asks for the wrong thing, and apply again."},
	{bluegreen.DeployFailed, "The release could not be started", "Correct the cause and apply again."},
	{bluegreen.SwitchFailed, "Traffic could not be switched", "Correct the cause and apply again."},
	{bluegreen.ErrNothingToRollBackTo, "There is nothing to roll back to", "Deploy the version that you want as a new release, with rollback = false."},
	{bluegreen.RollbackFailed, "The rollback failed", "Deploy the version that you want as a new release, with rollback = false."},
	{errMovedOn, "Something else serves than what was configured", "Find out who else works on this deployment, and plan again."},
}

// failed tells that an operation failed, and why; serving says what is there now.
func (o operation) failed(verb string, err error, serving string) diag.Diagnostic {
	told := advice{summary: fmt.Sprintf("The deployment was not %s", verb), next: "Correct the cause and apply again."}
	for _, a := range advices {
		if errors.Is(err, a.is) {
			told = a
			break
		}
	}
	if errors.Is(err, bluegreen.ErrExists) {
		told.next = o.importCommand()
	}
	if untouched(err) {
		serving = "Nothing was touched."
	}
	detail := paragraphs(o.cause(err), o.logs(err), serving, told.next)
	if attribute, ok := o.platform.explain(err); ok {
		return diag.NewAttributeErrorDiagnostic(attribute, told.summary, detail)
	}
	return diag.NewErrorDiagnostic(told.summary, detail)
}

// untouched reports whether err came before anything was done.
func untouched(err error) bool {
	return errors.Is(err, bluegreen.ErrExists) || errors.Is(err, bluegreen.ErrPlanStale) || errors.Is(err, bluegreen.EnvironmentBusy)
}

// stopped reports whether err is an operation that was asked to stop or ran out of time.
func stopped(err error) bool {
	return errors.Is(err, bluegreen.Interrupted) || errors.Is(err, bluegreen.Timeout)
}

// cause is the phase that an operation reached, and the last thing observed there.
func (o operation) cause(err error) string {
	var held *bluegreen.HolderError
	if errors.As(err, &held) {
		age := time.Since(held.Holder.Since).Round(time.Second)
		return fmt.Sprintf("%s works on it since %s, for %s.", held.Holder.Name, held.Holder.Since.UTC().Format(time.RFC3339), age)
	}
	var failure *bluegreen.Error
	if !errors.As(err, &failure) {
		return sentence(err)
	}
	text := fmt.Sprintf("The %s of %s failed: %v.", failure.Operation, failure.Environment, failure.Cause)
	if stopped(failure) {
		text = fmt.Sprintf("It stopped at the %s of %s: %v.", failure.Operation, failure.Environment, failure.Cause)
	}
	// What else went wrong, such as the cleaning up, follows.
	if rest, joined := strings.CutPrefix(err.Error(), failure.Error()); joined && rest != "" {
		text += rest
	}
	return o.masked(text)
}

// logs are the last lines that the unhealthy replicas wrote, or a container that
// held up its pod.
func (o operation) logs(err error) string {
	var stuck *kubernetes.StartError
	if errors.As(err, &stuck) && len(stuck.Logs) > 0 {
		return o.masked(fmt.Sprintf("The last lines of container %q in pod %s:\n    %s", stuck.Container, stuck.Pod, strings.Join(stuck.Logs, "\n    ")))
	}
	var unhealthy *bluegreen.UnhealthyError
	if !errors.As(err, &unhealthy) {
		return ""
	}
	var parts []string
	for _, replica := range unhealthy.Instances {
		if len(replica.Logs) > 0 {
			parts = append(parts, fmt.Sprintf("The last lines of %s:\n    %s", replica.Instance.ID, strings.Join(replica.Logs, "\n    ")))
		}
	}
	return o.masked(paragraphs(parts...))
}

// asWarnings lowers errors to warnings.
func asWarnings(diags diag.Diagnostics) diag.Diagnostics {
	var lowered diag.Diagnostics
	for _, d := range diags {
		if at, ok := d.(diag.DiagnosticWithPath); ok {
			lowered.AddAttributeWarning(at.Path(), d.Summary(), d.Detail())
		} else {
			lowered.AddWarning(d.Summary(), d.Detail())
		}
	}
	return lowered
}

// masked hides the values of environment variables, which a replica may have
// written itself.
func (o operation) masked(text string) string {
	for _, value := range o.desired.Release.Env {
		if len(value) >= shortestSecret {
			text = strings.ReplaceAll(text, value, "***")
		}
	}
	return text
}

// afterCreate says what a create that failed with err has left.
func (o operation) afterCreate(err error, status bluegreen.Status, lookErr error) string {
	switch {
	case errors.Is(lookErr, bluegreen.ErrNotFound):
		return "Nothing was left behind, and nothing is recorded."
	case lookErr != nil && strings.HasSuffix(err.Error(), lookErr.Error()):
		return "Whether it has left anything cannot be seen, for the same reason."
	case lookErr != nil:
		return fmt.Sprintf("What it has left could not be looked at: %v.", lookErr)
	case adopting(status.Ledger):
		return paragraphs(serves(status.Ledger)+", as it did before.", "Nothing is recorded. The next apply begins again.")
	case status.Ledger.IsServing():
		return paragraphs(serves(status.Ledger)+".", o.recordedNothing())
	default:
		return "What it has left is removed by the next apply; nothing is recorded."
	}
}

// recordedNothing says how to go on with a deployment that serves and is not in
// the state.
func (o operation) recordedNothing() string {
	return "The deployment is not recorded in the Terraform state. " + o.importCommand()
}

func (o operation) importCommand() string {
	return fmt.Sprintf("To manage it from here, run `terraform import ADDRESS %s`, where ADDRESS is that of this resource, such as bluegreen_deployment.%s.", o.id, o.name)
}

// afterUpdate compares what serves with what did when the plan was made.
func (o operation) afterUpdate(base bluegreen.Ledger, status bluegreen.Status, lookErr error) string {
	before, served := base.LiveRecord()
	now, serving := status.Ledger.LiveRecord()
	switch {
	case errors.Is(lookErr, bluegreen.ErrNotFound):
		return "The deployment does not exist any more."
	case lookErr != nil:
		return fmt.Sprintf("What serves now could not be looked at: %v.", lookErr)
	case serving && served && now.ID == before.ID:
		return fmt.Sprintf("Live was not touched: %s still serves from %s.", now.Version, now.Environment)
	case serving:
		return serves(status.Ledger) + "; the Terraform state says so too."
	default:
		return "Nothing serves."
	}
}

func serves(l bluegreen.Ledger) string {
	return fmt.Sprintf("%s serves from %s now", l.Slot(l.Live).Release.Version, l.Live)
}

// warnings tell of trouble that live does not suffer from.
func (o operation) warnings(troubles []error) diag.Diagnostics {
	var diags diag.Diagnostics
	for _, trouble := range troubles {
		diags.AddWarning("The old environment is not as it should be", paragraphs(o.cause(trouble),
			"What is configured serves: traffic is not concerned.", "The next apply tries again."))
	}
	return diags
}

// unreadable tells that nothing is known of a deployment, which is not that it is gone.
func (o operation) unreadable(err error) diag.Diagnostic {
	return diag.NewErrorDiagnostic("The deployment could not be read",
		paragraphs(sentence(err), "Whether it exists is not known, so the state stays as it is."))
}

// attributeError is an error on an attribute, which it names: Terraform shows the
// line of an attribute only where it is not nested in another.
func attributeError(attribute path.Path, summary, problem string) diag.Diagnostic {
	return diag.NewAttributeErrorDiagnostic(attribute, summary, fmt.Sprintf("Attribute %s %s.", attribute, strings.TrimSuffix(problem, ".")))
}

// openError tells that a platform cannot be used as it is configured.
func openError(platform platformConfig, err error) diag.Diagnostic {
	return diag.NewErrorDiagnostic(fmt.Sprintf("The platform %q cannot be used", platform.kind()), sentence(err))
}

// sentence makes an error text one: with a capital and a full stop.
func sentence(err error) string {
	text := strings.TrimSpace(err.Error())
	first, size := utf8.DecodeRuneInString(text)
	text = string(unicode.ToUpper(first)) + text[size:]
	if strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}

// paragraphs joins what is not empty.
func paragraphs(parts ...string) string {
	var filled []string
	for _, part := range parts {
		if part != "" {
			filled = append(filled, part)
		}
	}
	return strings.Join(filled, "\n\n")
}
