// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// lostAgentError is an operation whose agent ended while it went on.
type lostAgentError struct {
	// err is that of the operation, nil if it is only that the agent was not started again.
	err error
	// notStarted says why the agent could not be started again, nil if it was.
	notStarted error
}

// errLostAgent is what every lostAgentError wraps.
var errLostAgent = errors.New("the agent ended during the operation")

func (e *lostAgentError) Error() string { return errors.Join(e.err, e.notStarted).Error() }

func (e *lostAgentError) Unwrap() []error { return []error{errLostAgent, e.err, e.notStarted} }

// agentKeeper is a platform whose agent this provider starts.
type agentKeeper interface {
	EnsureAgent(ctx context.Context) error
}

var _ agentKeeper = (*local.Platform)(nil)

// ensureAgent starts the agent if the platform has one and it does not run.
func (o openDeployment) ensureAgent(ctx context.Context) error {
	if keeper, ok := o.Platform.(agentKeeper); ok {
		return keeper.EnsureAgent(ctx)
	}
	return nil
}

// explainLostAgent returns err, that of an operation, as a *lostAgentError if the agent ended
// meanwhile, and starts the agent again: it carries the traffic of other deployments too. It
// returns those of warnings that say something else.
func (o openDeployment) explainLostAgent(ctx context.Context, warnings []error, err error) ([]error, error) {
	if _, ok := o.Platform.(agentKeeper); !ok {
		return warnings, err
	}
	others := slices.DeleteFunc(slices.Clone(warnings), local.HasLostAgent)
	if !local.HasLostAgent(err) && (err != nil || len(others) == len(warnings)) {
		return warnings, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
	defer cancel()
	if notStarted := o.ensureAgent(ctx); err != nil || notStarted != nil {
		return others, &lostAgentError{err, notStarted}
	}
	o.platformWarnings.add(
		"The agent ended during the apply and was started again. Until then no client was served.")
	return others, nil
}

// describeLostAgent says in which phase the agent ended, and why it could not be started again, if
// so. What follows in the error of the operation, such as that of the clean-up, has the same cause.
func (o openDeployment) describeLostAgent(lost *lostAgentError) string {
	text, cause := "The agent ended during the operation", lost.err
	var failure *bluegreen.Error
	if errors.As(cause, &failure) {
		text = fmt.Sprintf("The agent ended during the %s of %s", failure.Phase, failure.Environment)
		cause = failure.Cause
	}
	if cause != nil {
		text += ": " + inWords(cause)
	}
	text += ". That says nothing about the release. Until an agent serves again, no client of its deployments can " +
		"connect."
	if lost.notStarted != nil {
		text += " It could not be started again: " + inWords(lost.notStarted) + "."
	}
	return o.mask(text)
}

// statusWarnings says that nothing carries the traffic, if so, and what else is worth knowing.
func (o openDeployment) statusWarnings(status bluegreen.Status) diag.Diagnostics {
	diags := outageWarning(status, o.mask)
	if status.Notice != "" {
		diags.AddWarning("The agent needs attention", status.Notice)
	}
	return append(diags, lostLedgerWarning(status)...)
}

// lostLedgerWarning says that the ledger was lost and read from a copy, if so.
func lostLedgerWarning(status bluegreen.Status) diag.Diagnostics {
	if status.LedgerLost == "" {
		return nil
	}
	return diag.Diagnostics{diag.NewWarningDiagnostic("The ledger of the deployment was lost", paragraphs(
		status.LedgerLost+".",
		"The traffic goes on. The next apply writes the ledger back. Find out which tool rewrites it.",
	))}
}

// outageWarning says that nothing carries the traffic, if so. The text is what edit makes of it.
func outageWarning(status bluegreen.Status, edit func(text string) string) diag.Diagnostics {
	if status.Outage == nil {
		return nil
	}
	return diag.Diagnostics{diag.NewWarningDiagnostic("Nothing carries the traffic", edit(describeOutage(status)))}
}

// describeOutage says that no client reaches live, why, and what ends that.
func describeOutage(status bluegreen.Status) string {
	l := status.Ledger
	return fmt.Sprintf("No client can connect to %s, which is live in %s: %s.\n\n%s",
		l.Slot(l.Live).Release.Version, l.Live, status.Outage.Cause, status.Outage.Next)
}
