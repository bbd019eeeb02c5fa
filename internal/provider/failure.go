// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/printable"
)

// errChangedAfterwards: an apply succeeded, and a moment later another release serves.
var errChangedAfterwards = errors.New("another operation changed the deployment right after this apply")

// advice is the summary of a failure, and what to do next.
type advice struct {
	is      error
	summary string
	next    string
}

const (
	correctAndApply  = "Correct the cause and apply again."
	deployNewRelease = "To get another version, deploy it as a new release with rollback = false."
	// applyWhenItAnswers follows platformSilent.
	platformSilent     = "The platform did not answer"
	applyWhenItAnswers = "This says nothing about the release. Apply again when the platform answers."
)

// knownFailures are tried in order: the most specific ones come first.
var knownFailures = []advice{
	{bluegreen.ErrExists, "A deployment of this name exists already", ""},
	{bluegreen.ErrPlanStale, "The plan is stale",
		"Plan again, and review what has changed before you apply."},
	{errLostAgent, "The agent ended during the operation",
		"Apply again: the next apply completes or undoes what was started."},
	{bluegreen.PlatformUnavailable, platformSilent, applyWhenItAnswers},
	{bluegreen.ErrNoSpace, "The disk is full",
		"Free space in the file system of the state directory, and apply again. What runs goes on, and a rollback " +
			"and a destroy need no space."},
	{bluegreen.EnvironmentBusy, "The deployment is busy",
		"Apply again when that operation has ended. The lock of a process that has died is released automatically."},
	{bluegreen.Interrupted, "The operation was interrupted",
		"Apply again to continue: the next apply completes or undoes what was started."},
	{bluegreen.Timeout, "The operation took too long",
		"Find out what it waited for, or allow more time with timeouts, health_check.timeout or switch_timeout."},
	{bluegreen.HealthCheckFailed, "The release is not healthy",
		"Correct the release, or health_check if it checks the wrong thing, and apply again."},
	{bluegreen.DeployFailed, "The release could not be started", correctAndApply},
	{bluegreen.SwitchFailed, "Traffic could not be switched", correctAndApply},
	{bluegreen.ErrNothingToRollBackTo, "There is nothing to roll back to", deployNewRelease},
	{bluegreen.RollbackFailed, "The rollback failed",
		"Apply again when the standby is healthy. To roll back without this check, set rollback_check = false. " +
			deployNewRelease},
	{errChangedAfterwards, "The configured release does not serve",
		"Find out what else changes this deployment, and plan again."},
	{bluegreen.ErrCouldNotAsk, platformSilent, applyWhenItAnswers},
}

// failureDiagnostic reports an operation that failed with err. effect says what the
// operation has left.
func (o openDeployment) failureDiagnostic(verb string, err error, effect string) diag.Diagnostic {
	a := adviceFor(err, verb)
	if errors.Is(err, bluegreen.ErrExists) {
		a.next = paragraphs(o.importCommand(), "If this apply replaces it with create_before_destroy, both have the "+
			"same name: give the new one another name, or let Terraform destroy the former one first.")
	}
	if hasTouchedNothing(err) {
		effect = "Nothing was touched."
	}
	var rolledBack *bluegreen.RolledBackError
	if errors.As(err, &rolledBack) {
		return diag.NewAttributeErrorDiagnostic(path.Root("version"), rolledBackSummary,
			paragraphs(o.mask(sentence(rolledBack)), effect, describeOptions(o.desired.Release.Version, rolledBack)))
	}
	detail := paragraphs(o.cause(err), o.logs(err), effect, a.next)
	if errors.Is(err, bluegreen.RollbackFailed) {
		return diag.NewAttributeErrorDiagnostic(path.Root("rollback"), a.summary, detail)
	}
	if attribute, ok := o.location.attributeOf(err); ok {
		return diag.NewAttributeErrorDiagnostic(attribute, a.summary, detail)
	}
	return diag.NewErrorDiagnostic(a.summary, detail)
}

func adviceFor(err error, verb string) advice {
	for _, a := range knownFailures {
		if errors.Is(err, a.is) {
			return a
		}
	}
	return advice{summary: fmt.Sprintf("The deployment was not %s", verb), next: correctAndApply}
}

// hasTouchedNothing reports whether an operation that failed with err did nothing.
func hasTouchedNothing(err error) bool {
	return errors.Is(err, bluegreen.ErrExists) || errors.Is(err, bluegreen.ErrPlanStale) ||
		errors.Is(err, bluegreen.EnvironmentBusy)
}

// isHealthyCutWatch reports whether err is a watch that was cut short before live had
// failed a probe.
func isHealthyCutWatch(err error) bool {
	var cut *bluegreen.CutWatchError
	return errors.As(err, &cut) && cut.Failed == 0
}

// isStopped reports whether err ended an operation that was interrupted or ran out
// of time.
func isStopped(err error) bool {
	return errors.Is(err, bluegreen.Interrupted) || errors.Is(err, bluegreen.Timeout)
}

// cause returns the phase in which the operation failed, and the last thing that
// was observed there.
func (o openDeployment) cause(err error) string {
	var locked *bluegreen.LockedError
	if errors.As(err, &locked) {
		return describeHolder(locked.Holder)
	}
	if lost, ok := errors.AsType[*lostAgentError](err); ok {
		return o.describeLostAgent(lost)
	}
	var failure *bluegreen.Error
	if !errors.As(err, &failure) {
		return o.mask(sentence(err))
	}
	text := fmt.Sprintf("The %s of %s failed: %s.", failure.Phase, failure.Environment, inWords(failure.Cause))
	if isStopped(failure) {
		text = describeStop(failure)
	}
	// Other errors follow, such as that of the clean-up.
	if rest, joined := strings.CutPrefix(err.Error(), failure.Error()); joined && rest != "" {
		text += kindsInWords.Replace(rest)
	}
	return o.mask(text)
}

// describeHolder says who has held the lock of the deployment, and for how long.
func describeHolder(holder bluegreen.Holder) string {
	text := fmt.Sprintf("%s has held the lock of the deployment since %s",
		holder.Name, holder.Since.UTC().Format(time.RFC3339))
	if held := time.Since(holder.Since).Round(time.Second); held > 0 {
		text += fmt.Sprintf(", for %s", held)
	}
	return text + "."
}

// describeStop says where an operation was interrupted or ran out of time, and what was
// observed last. It leaves out that the context ended.
func describeStop(failure *bluegreen.Error) string {
	text := fmt.Sprintf("It stopped at the %s of %s", failure.Phase, failure.Environment)
	observed := failure.Cause.Error()
	for _, ended := range []error{context.Canceled, context.DeadlineExceeded} {
		observed = strings.TrimSuffix(strings.TrimSuffix(observed, ended.Error()), ": ")
	}
	if observed != "" {
		text += ": " + kindsInWords.Replace(observed)
	}
	return text + "."
}

// logs returns the last lines of a replica that is not healthy, or of the
// container that kept a pod from starting. Those of other replicas mostly say the same.
func (o openDeployment) logs(err error) string {
	var unstarted *kubernetes.StartError
	if errors.As(err, &unstarted) && len(unstarted.Logs) > 0 {
		from := fmt.Sprintf("container %q in pod %s", unstarted.Container, unstarted.Pod)
		return o.lastLines(from, unstarted.Logs)
	}
	var unhealthy *bluegreen.UnhealthyError
	if !errors.As(err, &unhealthy) {
		return ""
	}
	for _, replica := range unhealthy.Instances {
		if len(replica.Logs) > 0 {
			return o.lastLines(replica.Instance.ID, replica.Logs)
		}
	}
	return ""
}

// maxLogLine is how many characters of a line of a log an error shows.
const maxLogLine = 200

// lastLines masks lines before it cuts and indents them: the value of a variable may be
// long, and have several lines.
func (o openDeployment) lastLines(from string, lines []string) string {
	text := "The last lines of " + from + ":"
	for line := range strings.SplitSeq(o.mask(strings.Join(lines, "\n")), "\n") {
		text += "\n    " + printable.Cut(line, maxLogLine)
	}
	return text
}

// warnings reports problems that do not affect the live environment.
func (o openDeployment) warnings(problems []error) diag.Diagnostics {
	var diags diag.Diagnostics
	for _, message := range o.platformWarnings.list {
		diags.AddWarning("The apply continued despite a problem", o.mask(message))
	}
	for _, problem := range problems {
		diags.AddWarning("The old environment could not be completed or removed", paragraphs(o.cause(problem),
			"The configured release serves, and its traffic was not affected.", "The next apply tries again."))
	}
	return diags
}
