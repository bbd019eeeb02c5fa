// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"sync"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

var _ tfprotov6.ProviderServer = (*server)(nil)

// server is the provider as Terraform calls it. It answers by itself what most
// calls of a plan come to, that nothing is different, and hands on everything
// else to the framework.
//
// The framework walks the whole schema several times for each answer, whatever
// comes of it. With a schema of this size that was more than half of the time of
// a plan of many deployments.
type server struct {
	tfprotov6.ProviderServer
	deployments *unchanged

	mu sync.Mutex
	// stopped ends when Terraform wants the calls that it waits for to end, and is
	// replaced then.
	stopped context.Context
	stop    context.CancelFunc
}

// NewServer returns the provider at this version.
func NewServer(version string) tfprotov6.ProviderServer { return newServer(version) }

func newServer(version string) *server {
	p := &bluegreenProvider{version: version}
	s := &server{ProviderServer: providerserver.NewProtocol6(p)(), deployments: newUnchanged(p)}
	s.stopped, s.stop = context.WithCancel(context.Background())
	return s
}

// StopProvider ends the calls that are being answered.
func (s *server) StopProvider(ctx context.Context, req *tfprotov6.StopProviderRequest) (*tfprotov6.StopProviderResponse, error) {
	s.mu.Lock()
	s.stop()
	s.stopped, s.stop = context.WithCancel(context.Background())
	s.mu.Unlock()
	return s.ProviderServer.StopProvider(ctx, req)
}

// interruptible returns a context that StopProvider ends, until done is called.
func (s *server) interruptible(ctx context.Context) (interruptible context.Context, done func()) {
	s.mu.Lock()
	stopped := s.stopped
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	detach := context.AfterFunc(stopped, cancel)
	return ctx, func() {
		detach()
		cancel()
	}
}

// UpgradeResourceState returns a state of the current version as it is. Terraform
// has removed from it what the schema does not have.
func (s *server) UpgradeResourceState(ctx context.Context, req *tfprotov6.UpgradeResourceStateRequest) (*tfprotov6.UpgradeResourceStateResponse, error) {
	if req.TypeName == deploymentType && req.Version == s.deployments.version() && req.RawState != nil && len(req.RawState.JSON) > 0 {
		return &tfprotov6.UpgradeResourceStateResponse{UpgradedState: &tfprotov6.DynamicValue{JSON: req.RawState.JSON}}, nil
	}
	return s.ProviderServer.UpgradeResourceState(ctx, req)
}

// ReadResource returns the state where the platform tells nothing else.
func (s *server) ReadResource(ctx context.Context, req *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	if req.TypeName == deploymentType && req.CurrentState != nil {
		var done func()
		ctx, done = s.interruptible(ctx)
		defer done()
		var same *tfprotov6.ReadResourceResponse
		if ctx, same = s.deployments.read(ctx, req); same != nil {
			return same, nil
		}
	}
	return s.ProviderServer.ReadResource(ctx, req)
}

// PlanResourceChange plans the prior state where nothing is to be done.
func (s *server) PlanResourceChange(ctx context.Context, req *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
	if req.TypeName == deploymentType && s.deployments.plan(ctx, req) {
		return &tfprotov6.PlanResourceChangeResponse{
			PlannedState:    req.PriorState,
			PlannedPrivate:  req.PriorPrivate,
			PlannedIdentity: req.PriorIdentity,
		}, nil
	}
	return s.ProviderServer.PlanResourceChange(ctx, req)
}
