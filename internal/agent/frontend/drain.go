// SPDX-License-Identifier: MPL-2.0

package frontend

import (
	"context"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// drain begins when traffic leaves an environment. When it ends, the requests that are
// still in flight there are closed.
type drain struct {
	deadline time.Time
	timer    *time.Timer
}

// startDrain begins the drain timeout of env. It ends even if no caller waits.
func (f *Frontend) startDrain(env bluegreen.Environment) {
	timeout := f.binding.DrainTimeout
	d := &drain{deadline: time.Now().Add(timeout)}
	f.routes.drains[env] = d
	d.timer = time.AfterFunc(timeout, func() { f.endDrain(env, d) })
}

// endDrain closes what is left in env, unless the drain was stopped just before.
func (f *Frontend) endDrain(env bluegreen.Environment, d *drain) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.routes.drains[env] != d {
		return
	}
	if n := f.routes.serving[env].CloseConnections(); n > 0 {
		f.log.Info("drain timeout: closed what was left", "environment", env, "connections", n)
	}
}

// stopDrain lets env keep its connections: it is live again, or removed.
func (f *Frontend) stopDrain(env bluegreen.Environment) {
	if d := f.routes.drains[env]; d != nil {
		d.timer.Stop()
		delete(f.routes.drains, env)
	}
}

// Drain waits until no request of the live listeners is in flight on env any more. It
// waits no longer than the drain timeout, which begins with the switch.
func (f *Frontend) Drain(ctx context.Context, env bluegreen.Environment) error {
	f.mu.Lock()
	if f.routes.live == env {
		f.mu.Unlock()
		return nil
	}
	pool := f.routes.serving[env]
	deadline := time.Now()
	if d := f.routes.drains[env]; d != nil {
		deadline = d.deadline
	}
	f.mu.Unlock()

	limited, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if pool.WaitIdle(limited) == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	pool.CloseConnections()
	return pool.WaitIdle(ctx)
}

// DrainBackend waits until a backend of env has nothing in flight any more, for the drain
// timeout at most. The backend must get no new traffic.
func (f *Frontend) DrainBackend(ctx context.Context, env bluegreen.Environment, id string) error {
	f.mu.Lock()
	timeout, pools := f.binding.DrainTimeout, f.routes.pools(env)
	f.mu.Unlock()
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for _, pool := range pools {
		if pool.WaitBackendIdle(limited, id) != nil && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}
