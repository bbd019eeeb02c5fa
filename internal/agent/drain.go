// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// drainClock runs from the switch away from an environment until what is then
// still in flight there is cut.
type drainClock struct {
	deadline time.Time
	timer    *time.Timer
}

// startDrain begins the time that env has to finish what is in flight. Nobody
// needs to wait for it.
func (t *traffic) startDrain(env bluegreen.Environment, timeout time.Duration) {
	clock := &drainClock{deadline: time.Now().Add(timeout)}
	t.drains[env] = clock
	clock.timer = time.AfterFunc(timeout, func() { t.cut(env, clock) })
}

// cut closes what is left in env, unless the clock was stopped at the last moment.
func (t *traffic) cut(env bluegreen.Environment, clock *drainClock) {
	t.guard.Lock()
	defer t.guard.Unlock()
	if t.drains[env] != clock {
		return
	}
	if n := t.serving[env].CloseConnections(); n > 0 {
		t.log.Info("drain timeout: closed what was left", "environment", env, "connections", n)
	}
}

// stopDrain lets env keep what it has: it is live again, or gone.
func (t *traffic) stopDrain(env bluegreen.Environment) {
	if clock := t.drains[env]; clock != nil {
		clock.timer.Stop()
		delete(t.drains, env)
	}
}

// drain returns when nothing that came through the live door talks to env any
// more, at the latest when its drain timeout, counted from the switch, is over.
func (d *deployment) drain(ctx context.Context, env bluegreen.Environment) error {
	d.mu.Lock()
	if d.traffic.live == env {
		d.mu.Unlock()
		return nil
	}
	pool := d.traffic.serving[env]
	deadline := time.Now()
	if clock := d.traffic.drains[env]; clock != nil {
		deadline = clock.deadline
	}
	d.mu.Unlock()

	patient, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if pool.WaitIdle(patient) == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	pool.CloseConnections()
	return pool.WaitIdle(ctx)
}
