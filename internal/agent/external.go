// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"fmt"
	"slices"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// externalCandidates are the targets as the traffic sees them. Whether they run is not
// asked: those that refuse connections are passed over. One that was made anew,
// maybe from something else, is another incarnation and has to pass first.
func externalCandidates(e store.ExternalReplicas) []candidate {
	list := make([]candidate, 0, len(e.Targets))
	for _, t := range e.Targets {
		list = append(list, candidate{router.Backend{ID: t.Backend(), Addr: t.Address}, t.Ref()})
	}
	return list
}

// changeExternal edits what something else runs here. Targets that go get no new
// traffic, and are quiesced.
func (e *environment) changeExternal(ctx context.Context, edit func(*store.ExternalReplicas), quiesce quiesce) error {
	e.mu.Lock()
	former, processes := e.external, e.workload != nil
	e.mu.Unlock()
	if processes {
		return fmt.Errorf("%w: the agent itself runs the replicas of %s", errInvalid, e.name)
	}
	next := former
	edit(&next)
	if !next.IsEqual(former) {
		if err := next.Write(e.dir); err != nil {
			return err
		}
		e.mu.Lock()
		e.external = next
		e.mu.Unlock()
		e.changed()
	}
	e.departing = slices.DeleteFunc(append(e.departing, next.RemovedSince(former)...), next.HasBackend)
	if err := each(e.departing, func(id string) error { return quiesce(ctx, id) }); err != nil {
		return err
	}
	e.departing = nil
	return nil
}

func (e *environment) externalReplicas() store.ExternalReplicas {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.external
}
