// SPDX-License-Identifier: MPL-2.0

// Command mute is a Terraform provider with the schema and the size of the real provider
// that does nothing. It reads every resource from the state, plans what Terraform proposes,
// and reports every plan as applied. The time of a command with it is the time that
// Terraform itself needs for such a provider.
package main

import (
	"context"
	"log"
	"os"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/provider"
)

func main() {
	// The real provider writes no logs either unless the user asks for them.
	for _, level := range []string{"TF_LOG_SDK", "TF_LOG_SDK_PROTO", "TF_LOG_SDK_FRAMEWORK"} {
		if err := os.Setenv(level, "ERROR"); err != nil {
			log.Fatal(err)
		}
	}
	serve := func() tfprotov6.ProviderServer {
		return mute{provider.NewServer("0.0.1")}
	}
	if err := tf6server.Serve("registry.terraform.io/bluegreen/bluegreen", serve); err != nil {
		log.Fatal(err)
	}
}

type mute struct {
	tfprotov6.ProviderServer
}

func (mute) UpgradeResourceState(
	_ context.Context, req *tfprotov6.UpgradeResourceStateRequest,
) (*tfprotov6.UpgradeResourceStateResponse, error) {
	state := &tfprotov6.DynamicValue{JSON: req.RawState.JSON}
	return &tfprotov6.UpgradeResourceStateResponse{UpgradedState: state}, nil
}

func (mute) ReadResource(
	_ context.Context, req *tfprotov6.ReadResourceRequest,
) (*tfprotov6.ReadResourceResponse, error) {
	return &tfprotov6.ReadResourceResponse{
		NewState: req.CurrentState, Private: req.Private, NewIdentity: req.CurrentIdentity,
	}, nil
}

func (mute) ValidateResourceConfig(
	context.Context, *tfprotov6.ValidateResourceConfigRequest,
) (*tfprotov6.ValidateResourceConfigResponse, error) {
	return &tfprotov6.ValidateResourceConfigResponse{}, nil
}

func (mute) PlanResourceChange(
	_ context.Context, req *tfprotov6.PlanResourceChangeRequest,
) (*tfprotov6.PlanResourceChangeResponse, error) {
	return &tfprotov6.PlanResourceChangeResponse{
		PlannedState: req.ProposedNewState, PlannedPrivate: req.PriorPrivate, PlannedIdentity: req.PriorIdentity,
	}, nil
}

func (mute) ApplyResourceChange(
	_ context.Context, req *tfprotov6.ApplyResourceChangeRequest,
) (*tfprotov6.ApplyResourceChangeResponse, error) {
	return &tfprotov6.ApplyResourceChangeResponse{
		NewState: req.PlannedState, Private: req.PlannedPrivate, NewIdentity: req.PlannedIdentity,
	}, nil
}
