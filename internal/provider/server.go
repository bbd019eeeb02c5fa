// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"sync"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

var _ frameworkServer = (*server)(nil)

// server is the provider as Terraform calls it. It asks the shortcut first, and the
// framework for every call that the shortcut does not answer.
type server struct {
	frameworkServer
	shortcut *shortcut

	mu sync.Mutex
	// stopped ends when Terraform stops the calls that it waits for. A new context
	// replaces it then.
	stopped context.Context
	stop    context.CancelFunc
}

// frameworkServer is the provider as the framework serves it. What newer versions of Terraform
// call is no part of tfprotov6.ProviderServer yet.
type frameworkServer interface {
	tfprotov6.ProviderServer
	tfprotov6.ListResourceServer
}

// NewServer returns the provider at this version.
func NewServer(version string) tfprotov6.ProviderServer { return newServer(version) }

func newServer(version string) *server {
	p := &bluegreenProvider{version: version}
	framework, isComplete := providerserver.NewProtocol6(p)().(frameworkServer)
	if !isComplete {
		panic("the framework does not serve all that the provider has")
	}
	s := &server{frameworkServer: framework, shortcut: newShortcut(p)}
	s.stopped, s.stop = context.WithCancel(context.Background())
	return s
}

// StopProvider ends the calls that are being answered.
func (s *server) StopProvider(
	ctx context.Context, req *tfprotov6.StopProviderRequest,
) (*tfprotov6.StopProviderResponse, error) {
	s.mu.Lock()
	s.stop()
	s.stopped, s.stop = context.WithCancel(context.Background())
	s.mu.Unlock()
	return s.frameworkServer.StopProvider(ctx, req)
}

// withInterrupt returns a context that StopProvider ends, until done is called.
func (s *server) withInterrupt(ctx context.Context) (interruptible context.Context, done func()) {
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

// UpgradeResourceState upgrades the state of a deployment.
func (s *server) UpgradeResourceState(
	ctx context.Context, req *tfprotov6.UpgradeResourceStateRequest,
) (*tfprotov6.UpgradeResourceStateResponse, error) {
	if req.TypeName == deploymentType {
		if unchanged := s.shortcut.upgrade(req); unchanged != nil {
			return unchanged, nil
		}
	}
	return s.frameworkServer.UpgradeResourceState(ctx, req)
}

// ReadResource reads the status of a deployment once, for the shortcut and for the
// framework.
func (s *server) ReadResource(
	ctx context.Context, req *tfprotov6.ReadResourceRequest,
) (*tfprotov6.ReadResourceResponse, error) {
	if req.TypeName == deploymentType {
		interruptible, done := s.withInterrupt(withSharedStatus(ctx))
		defer done()
		ctx = interruptible
		if unchanged := s.shortcut.read(ctx, req); unchanged != nil {
			return unchanged, nil
		}
	}
	return s.frameworkServer.ReadResource(ctx, req)
}

// PlanResourceChange plans a deployment.
func (s *server) PlanResourceChange(
	ctx context.Context, req *tfprotov6.PlanResourceChangeRequest,
) (*tfprotov6.PlanResourceChangeResponse, error) {
	if req.TypeName == deploymentType {
		if unchanged := s.shortcut.plan(ctx, req); unchanged != nil {
			return unchanged, nil
		}
	}
	return s.frameworkServer.PlanResourceChange(ctx, req)
}
