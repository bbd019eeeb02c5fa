// SPDX-License-Identifier: MPL-2.0

package provider

import "github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"

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
