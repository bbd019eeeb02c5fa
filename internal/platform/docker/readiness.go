// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// healthCheck is the name of the image's own check in a Verdict.
const healthCheck = "HEALTHCHECK"

// Ready implements bluegreen.Readiness: the HEALTHCHECK of the image must pass,
// if it has one.
func (p *Platform) Ready(ctx context.Context, instance bluegreen.Instance) bluegreen.Verdict {
	verdict, _ := p.judge(ctx, instance)
	return verdict
}

// AwaitReady implements bluegreen.Readiness. The engine tells when the outcome
// changes.
func (p *Platform) AwaitReady(ctx context.Context, instance bluegreen.Instance) bluegreen.Verdict {
	verdict, settled := p.judge(ctx, instance)
	if settled {
		return verdict
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changes := p.engine.Events(ctx, client.EventsListOptions{Filters: client.Filters{}.
		Add("container", containerOf(instance.Ref())).
		Add("event", string(events.ActionHealthStatus), string(events.ActionDie)),
	})
	// It may have changed before the engine began to tell.
	for verdict, settled = p.judge(ctx, instance); !settled; {
		select {
		case <-changes.Messages:
			verdict, settled = p.judge(ctx, instance)
		case err := <-changes.Err:
			if ctx.Err() != nil {
				return verdict
			}
			p.engine.explain(&err)
			return bluegreen.Verdict{healthCheck: fmt.Errorf("%w, and the engine tells no more of it: %w", verdict[healthCheck], err)}
		case <-ctx.Done():
			return verdict
		}
	}
	return verdict
}

// judge tells what the engine holds of a container, and whether there is nothing
// to wait for: it is healthy, does not run, or has no HEALTHCHECK.
func (p *Platform) judge(ctx context.Context, instance bluegreen.Instance) (verdict bluegreen.Verdict, settled bool) {
	inspected, err := p.engine.ContainerInspect(ctx, containerOf(instance.Ref()), client.ContainerInspectOptions{})
	if err != nil {
		p.engine.explain(&err)
		return bluegreen.Verdict{healthCheck: err}, ctx.Err() != nil
	}
	state := inspected.Container.State
	switch {
	case state.Health == nil || state.Health.Status == container.NoHealthcheck:
		return nil, true
	case !state.Running:
		return bluegreen.Verdict{healthCheck: errors.New(exitOf(inspected.Container))}, true
	case state.Health.Status == container.Healthy:
		return bluegreen.Verdict{healthCheck: nil}, true
	default:
		return bluegreen.Verdict{healthCheck: complaint(state.Health)}, false
	}
}

// complaint is what the last run of the HEALTHCHECK said.
func complaint(health *container.Health) error {
	if len(health.Log) == 0 {
		return fmt.Errorf("%s, it has not run yet", health.Status)
	}
	last := health.Log[len(health.Log)-1]
	return fmt.Errorf("%s, exit status %d: %s", health.Status, last.ExitCode, strings.TrimSpace(last.Output))
}
