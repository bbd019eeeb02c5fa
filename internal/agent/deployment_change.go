// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"errors"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// runExclusively runs change when no other change of what runs is going on.
func (d *deployment) runExclusively(ctx context.Context, change func() error) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case d.turn <- struct{}{}:
	}
	defer func() { <-d.turn }()
	return change()
}

// provision makes an environment run exactly next.
func (d *deployment) provision(ctx context.Context, name bluegreen.Environment, next *store.Workload) error {
	return d.runExclusively(ctx, func() error {
		return d.environments[name].provision(ctx, next, d.drainBackend(name))
	})
}

// scale changes the size of an environment.
func (d *deployment) scale(ctx context.Context, name bluegreen.Environment, size int) error {
	return d.runExclusively(ctx, func() error { return d.environments[name].scale(ctx, size, d.drainBackend(name)) })
}

// restart ends one run of a replica and starts the replica again.
func (d *deployment) restart(ctx context.Context, name bluegreen.Environment, id, incarnation string) error {
	return d.runExclusively(ctx, func() error {
		return d.environments[name].restart(ctx, id, incarnation, d.drainBackend(name))
	})
}

// drainBackend returns a function that drains one backend of the environment.
func (d *deployment) drainBackend(name bluegreen.Environment) drainBackend {
	return func(ctx context.Context, id string) error { return d.drain(ctx, name, id) }
}

// drain waits until nothing is in flight on env any more, here and in former agents, or on one of
// its backends if backend is not "".
func (d *deployment) drain(ctx context.Context, env bluegreen.Environment, backend string) error {
	former := make(chan error, 1)
	go func() { former <- d.formers.drain(ctx, d.name, env, backend) }()
	return errors.Join(d.drainHere(ctx, env, backend), <-former)
}

func (d *deployment) remove(ctx context.Context, name bluegreen.Environment) error {
	return d.runExclusively(ctx, func() error { return d.environments[name].remove(ctx) })
}

// awaitOrphans waits until what should not run has ended, and removes its files.
func (d *deployment) awaitOrphans() error {
	return d.runExclusively(d.closing, func() error {
		return forEach(bluegreen.Environments(), func(name bluegreen.Environment) error {
			return d.environments[name].stop(d.closing, nil)
		})
	})
}

// erase forgets the deployment and everything that is left of it.
func (d *deployment) erase(ctx context.Context) error {
	for _, name := range bluegreen.Environments() {
		if err := d.remove(ctx, name); err != nil {
			return err
		}
	}
	return d.discard(ctx)
}

// discard ends the deployment and removes its files. Nothing runs in it any more.
func (d *deployment) discard(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	// A request that ends from now on must not make the directory again.
	d.accessLog.close()
	if err := d.ledger.Erase(ctx); err != nil {
		return err
	}
	d.close()
	d.verdicts.close()
	d.frontend.Close()
	d.formers.erase(d.name)
	d.unregister()
	return nil
}
