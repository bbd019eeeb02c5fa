// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"context"
	"errors"
	"fmt"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/dockerapi"
)

// Ready implements bluegreen.Readiness. If the image has a HEALTHCHECK, it must pass.
func (p *Platform) Ready(ctx context.Context, instance bluegreen.Instance) bluegreen.Verdict {
	verdict, _ := p.inspectHealth(ctx, instance)
	return verdict
}

// AwaitReady implements bluegreen.Readiness. It waits for the engine's events, and
// inspects the container after each of them.
func (p *Platform) AwaitReady(ctx context.Context, instance bluegreen.Instance) bluegreen.Verdict {
	verdict, final := p.inspectHealth(ctx, instance)
	if final {
		return verdict
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changes := p.engine.Events(ctx, client.EventsListOptions{Filters: client.Filters{}.
		Add("container", containerOf(instance.Ref())).
		Add("event", string(events.ActionHealthStatus), string(events.ActionDie)),
	})
	// The engine sends no event for a change before it received the request for events. So
	// the container is inspected once more.
	for verdict, final = p.inspectHealth(ctx, instance); !final; {
		select {
		case <-changes.Messages:
			verdict, final = p.inspectHealth(ctx, instance)
		case err := <-changes.Err:
			if ctx.Err() != nil {
				return verdict
			}
			p.engine.explain(&err)
			last := verdict[dockerapi.Healthcheck]
			err = fmt.Errorf("%w, and the engine sends no more events about it: %w", last, err)
			return bluegreen.Verdict{dockerapi.Healthcheck: err}
		case <-ctx.Done():
			return verdict
		}
	}
	return verdict
}

// inspectHealth returns the health of a container. The verdict is final if there is
// nothing to wait for: the container is healthy, does not run, or has no HEALTHCHECK.
func (p *Platform) inspectHealth(
	ctx context.Context, instance bluegreen.Instance,
) (verdict bluegreen.Verdict, final bool) {
	options := client.ContainerInspectOptions{}
	inspected, err := p.engine.ContainerInspect(ctx, containerOf(instance.Ref()), options)
	if err != nil {
		p.engine.explain(&err)
		return bluegreen.Verdict{dockerapi.Healthcheck: err}, ctx.Err() != nil
	}
	state := inspected.Container.State
	switch {
	case !dockerapi.HasHealthcheck(state):
		return nil, true
	case !state.Running:
		return bluegreen.Verdict{dockerapi.Healthcheck: errors.New(exitOf(inspected.Container))}, true
	case state.Health.Status == container.Healthy:
		return bluegreen.Verdict{dockerapi.Healthcheck: nil}, true
	default:
		return bluegreen.Verdict{dockerapi.Healthcheck: dockerapi.HealthError(state.Health)}, false
	}
}
