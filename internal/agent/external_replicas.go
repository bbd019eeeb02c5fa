// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"fmt"
	"net"
	"slices"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/frontend"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// externalCandidates returns the replicas that may get traffic. Whether they run and listen is
// not checked: the router skips those that refuse connections. A replica that was
// created again has another incarnation and must pass its health check first.
func externalCandidates(e store.ExternalReplicas) []candidate {
	list := make([]candidate, 0, len(e.Replicas))
	for _, r := range e.Replicas {
		backend := router.Backend{ID: r.Backend(), Addr: r.Address}
		list = append(list, candidate{
			Replica: frontend.Replica{Backend: backend, Ref: r.Ref()}, id: r.ID, isExternal: true, isListening: true,
			dial: func(ctx context.Context) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", backend.Addr)
			},
		})
	}
	return list
}

// changeExternal edits the external replicas of the environment. Those that
// are removed get no new traffic, and finish their requests.
func (e *environment) changeExternal(
	ctx context.Context, edit func(*store.ExternalReplicas), drain drainBackend,
) error {
	e.mu.Lock()
	former, problem, hasProcesses := e.external, e.problem, e.workload != nil || len(e.replicas) > 0
	e.mu.Unlock()
	if hasProcesses {
		return fmt.Errorf("%w: the replicas of %s are processes of the agent; it accepts no external replicas",
			api.ErrInvalid, e.name)
	}
	next := former
	edit(&next)
	if !next.IsEqual(former) || problem != nil {
		if err := next.Write(e.dir); err != nil {
			return err
		}
		e.mu.Lock()
		e.external, e.problem = next, nil
		e.mu.Unlock()
		e.changed()
	}
	e.draining = slices.DeleteFunc(append(e.draining, next.RemovedSince(former)...), next.HasBackend)
	if err := forEach(e.draining, func(id string) error { return drain(ctx, id) }); err != nil {
		return err
	}
	e.draining = nil
	return nil
}

func (e *environment) externalReplicas() store.ExternalReplicas {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.external
}
