// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"

	tfjson "github.com/hashicorp/terraform-json"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
)

// answers checks which version a client of the endpoint is answered by.
type answers struct {
	h                  *harness
	attribute, version string
}

var _ statecheck.StateCheck = answers{}

func (h *harness) live(version string) statecheck.StateCheck {
	return answers{h, "endpoint", version}
}

func (h *harness) preview(version string) statecheck.StateCheck {
	return answers{h, "preview_endpoint", version}
}

func (a answers) CheckState(
	ctx context.Context,
	req statecheck.CheckStateRequest,
	resp *statecheck.CheckStateResponse,
) {
	endpoint, err := endpointOf(req.State, a.attribute)
	if err == nil {
		err = a.h.answered(ctx, endpoint, a.version)
	}
	resp.Error = err
}

func endpointOf(state *tfjson.State, attribute string) (string, error) {
	for _, r := range state.Values.RootModule.Resources {
		if endpoint, ok := r.AttributeValues[attribute].(string); ok && r.Address == address {
			return endpoint, nil
		}
	}
	return "", fmt.Errorf("%s has no %s", address, attribute)
}

func at(steps ...string) tfjsonpath.Path {
	p := tfjsonpath.New(steps[0])
	for _, step := range steps[1:] {
		p = p.AtMapKey(step)
	}
	return p
}

func text(value string) knownvalue.Check { return knownvalue.StringExact(value) }

func number(value int64) knownvalue.Check { return knownvalue.Int64Exact(value) }

func stateHas(value knownvalue.Check, steps ...string) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(address, at(steps...), value)
}

func planHas(value knownvalue.Check, steps ...string) plancheck.PlanCheck {
	return plancheck.ExpectKnownValue(address, at(steps...), value)
}

func planHasUnknown(steps ...string) plancheck.PlanCheck {
	return plancheck.ExpectUnknownValue(address, at(steps...))
}

func planIs(a plancheck.ResourceActionType) plancheck.PlanCheck {
	return plancheck.ExpectResourceAction(address, a)
}
