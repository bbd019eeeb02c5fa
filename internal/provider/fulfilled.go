// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"errors"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// isFulfilled reports whether the deployment is what the configuration asks for: no
// remaining step changes which release serves or is ready.
func (o openDeployment) isFulfilled(status bluegreen.Status) bool {
	steps, err := status.Ledger.Next(o.desired, status.Usable())
	if err != nil {
		return false
	}
	return !forecast{steps: steps}.hasStep(
		bluegreen.StepDeployAndSwitch, bluegreen.StepPreview, bluegreen.StepPromote, bluegreen.StepRollback)
}

// isCreatedAllTheSame reports whether a create was complete, although it ended with err: the answer
// to its last commit was lost. Such a deployment is recorded in the state, because the next apply
// could not create it.
func (o openDeployment) isCreatedAllTheSame(err error, status bluegreen.Status) bool {
	return errors.Is(err, bluegreen.ErrCreateUnconfirmed) && status.Ledger.Created && status.Outage == nil &&
		o.isFulfilled(status)
}
