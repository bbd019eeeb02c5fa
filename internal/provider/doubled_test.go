// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// doubled is the provider that the stories are played with. What it answers has
// to be what the framework answers, whatever the story has come to.
type doubled struct {
	*server
	// refreshes and plans count the answers given without the framework.
	refreshes, plans atomic.Int64
	// refreshed is what was asked for last.
	refreshed atomic.Pointer[tfprotov6.ReadResourceRequest]
}

func newDoubled() *doubled { return &doubled{server: newServer("test")} }

func (d *doubled) UpgradeResourceState(ctx context.Context, req *tfprotov6.UpgradeResourceStateRequest) (*tfprotov6.UpgradeResourceStateResponse, error) {
	answer, err := d.server.UpgradeResourceState(ctx, req)
	if err != nil {
		return nil, err
	}
	other, err := d.ProviderServer.UpgradeResourceState(ctx, req)
	if err != nil {
		return nil, err
	}
	return answer, d.same("an upgraded state", answer.UpgradedState, other.UpgradedState)
}

func (d *doubled) ReadResource(ctx context.Context, req *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	d.refreshed.Store(req)
	answer, err := d.server.ReadResource(ctx, req)
	if err != nil {
		return nil, err
	}
	other, err := d.ProviderServer.ReadResource(ctx, req)
	if err != nil {
		return nil, err
	}
	if answer.NewState == req.CurrentState {
		d.refreshes.Add(1)
	}
	if d.sameRefresh(answer, other) == nil {
		return answer, nil
	}
	// Something has happened between the two looks: now both see it.
	if answer, err = d.server.ReadResource(ctx, req); err != nil {
		return nil, err
	}
	return answer, d.sameRefresh(answer, other)
}

func (d *doubled) sameRefresh(answer, other *tfprotov6.ReadResourceResponse) error {
	if string(answer.Private) != string(other.Private) || len(answer.Diagnostics) != len(other.Diagnostics) {
		return fmt.Errorf("a refresh comes to %s %v, the framework's to %s %v", answer.Private, answer.Diagnostics, other.Private, other.Diagnostics)
	}
	if (answer.NewIdentity == nil) != (other.NewIdentity == nil) ||
		answer.NewIdentity != nil && !slices.Equal(answer.NewIdentity.IdentityData.MsgPack, other.NewIdentity.IdentityData.MsgPack) {
		return fmt.Errorf("a refresh finds the identity %v, the framework's %v", answer.NewIdentity, other.NewIdentity)
	}
	return d.same("a refresh", answer.NewState, other.NewState)
}

func (d *doubled) PlanResourceChange(ctx context.Context, req *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
	answer, err := d.server.PlanResourceChange(ctx, req)
	if err != nil {
		return nil, err
	}
	other, err := d.ProviderServer.PlanResourceChange(ctx, req)
	if err != nil {
		return nil, err
	}
	if answer.PlannedState == req.PriorState {
		d.plans.Add(1)
	}
	if string(answer.PlannedPrivate) != string(other.PlannedPrivate) || len(answer.Diagnostics) != len(other.Diagnostics) ||
		len(answer.RequiresReplace) != len(other.RequiresReplace) {
		return nil, fmt.Errorf("the plan is %v, the framework's %v", answer, other)
	}
	return answer, d.same("a plan", answer.PlannedState, other.PlannedState)
}

// same returns an error unless both states hold the same values.
func (d *doubled) same(what string, answer, other *tfprotov6.DynamicValue) error {
	if answer == nil || other == nil {
		if answer != other {
			return fmt.Errorf("%s comes to %v, the framework's to %v", what, answer, other)
		}
		return nil
	}
	var values [2]tftypes.Value
	for i, state := range []*tfprotov6.DynamicValue{answer, other} {
		var err error
		if values[i], err = state.Unmarshal(d.deployments.known().terraformType); err != nil {
			return err
		}
	}
	if !values[0].Equal(values[1]) {
		return fmt.Errorf("%s comes to %s, the framework's to %s", what, values[0], values[1])
	}
	return nil
}
