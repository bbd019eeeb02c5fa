// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// describeFailedCreate says what a create that failed with err has left.
func (o openDeployment) describeFailedCreate(err error, status bluegreen.Status, statusErr error) string {
	switch {
	case errors.Is(statusErr, bluegreen.ErrNotFound):
		return "Nothing was left behind, and nothing is recorded in the Terraform state."
	case statusErr != nil && strings.HasSuffix(err.Error(), statusErr.Error()):
		return "For the same reason it is not known whether anything was left behind."
	case statusErr != nil:
		return fmt.Sprintf("It is not known whether anything was left behind: %s.", o.mask(inWords(statusErr)))
	case status.Outage != nil:
		return paragraphs(describeOutage(status), o.describeUnrecorded())
	case isServingAdopted(status.Ledger):
		return paragraphs(fmt.Sprintf("The adopted workload was not touched: %s.", describeStillServing(status)),
			"Nothing is recorded in the Terraform state. The next apply starts again.")
	case status.Ledger.IsServing():
		return paragraphs(describeServing(status), o.describeUnrecorded())
	default:
		return "The next apply removes what was left behind. Nothing is recorded in the Terraform state."
	}
}

// describeUnrecorded says how to continue with a deployment that serves and is not in the
// Terraform state.
func (o openDeployment) describeUnrecorded() string {
	return "The deployment is not recorded in the Terraform state. " + o.importCommand()
}

func (o openDeployment) importCommand() string {
	return fmt.Sprintf("To manage it with this configuration, run `terraform import ADDRESS %s`, where ADDRESS is the "+
		"address of this resource, such as bluegreen_deployment.%s.", o.id, o.name)
}

// describeFailedUpdate says what an update that failed has left. It compares what serves
// with what served when the plan was made.
func (o openDeployment) describeFailedUpdate(
	err error, base bluegreen.Ledger, status bluegreen.Status, statusErr error,
) string {
	before, served := base.LiveRecord()
	now, serving := status.Ledger.LiveRecord()
	switch {
	case errors.Is(statusErr, bluegreen.ErrNotFound):
		return "The deployment no longer exists."
	case statusErr != nil:
		return fmt.Sprintf("It is not known what serves now: %s.", o.mask(inWords(statusErr)))
	case status.Outage != nil:
		return describeOutage(status)
	case serving && served && now.ID == before.ID && errors.Is(err, errLostAgent):
		return "The agent was started again: " + describeServing(status)
	case serving && served && now.ID == before.ID:
		return fmt.Sprintf("The live environment was not touched: %s.", describeStillServing(status))
	case serving && now.Origin == bluegreen.FromWatch:
		return paragraphs(describeServing(status)+" The Terraform state was updated.", fmt.Sprintf(
			"%s is not deployed again automatically. To try it once more without a change, set retry = %q.",
			o.desired.Release.Version, now.Replaced))
	case serving:
		return describeServing(status) + " The Terraform state was updated."
	default:
		return "Nothing serves."
	}
}

func describeStillServing(status bluegreen.Status) string {
	if problem := describeUnservedLive(status); problem != "" {
		return problem
	}
	l := status.Ledger
	return fmt.Sprintf("%s still serves from %s", l.Slot(l.Live).Release.Version, l.Live)
}

func describeServing(status bluegreen.Status) string {
	if problem := describeUnservedLive(status); problem != "" {
		return problem + "."
	}
	l := status.Ledger
	return fmt.Sprintf("%s serves from %s now.", l.Slot(l.Live).Release.Version, l.Live)
}

// describeUnservedLive says that no replica of the live release can answer, "" if one can.
func describeUnservedLive(status bluegreen.Status) string {
	l := status.Ledger
	running, unready := status.Running[l.Live], status.Unready[l.Live]
	problem := ""
	switch {
	case running == 0:
		problem = "no client reaches a replica of it"
	case running <= unready:
		problem = "none of its replicas is healthy"
	default:
		return ""
	}
	return fmt.Sprintf("%s is live in %s, but %s", l.Slot(l.Live).Release.Version, l.Live, problem)
}

// unreadableDiagnostic reports a deployment that may exist and cannot be read.
func (o openDeployment) unreadableDiagnostic(err error) diag.Diagnostic {
	return diag.NewErrorDiagnostic(
		"The deployment could not be read",
		paragraphs(
			o.mask(sentence(err)),
			"It is not known whether the deployment exists. The Terraform state was not changed.",
		),
	)
}
