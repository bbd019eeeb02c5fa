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
			err = fmt.Errorf("%w, and the engine sends no more events about it: %w", verdict[healthCheck], err)
			return bluegreen.Verdict{healthCheck: err}
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
		return bluegreen.Verdict{healthCheck: err}, ctx.Err() != nil
	}
	state := inspected.Container.State
	switch {
	case !hasHealthcheck(state):
		return nil, true
	case !state.Running:
		return bluegreen.Verdict{healthCheck: errors.New(exitOf(inspected.Container))}, true
	case state.Health.Status == container.Healthy:
		return bluegreen.Verdict{healthCheck: nil}, true
	default:
		return bluegreen.Verdict{healthCheck: healthError(state.Health)}, false
	}
}

func hasHealthcheck(state *container.State) bool {
	return state.Health != nil && state.Health.Status != container.NoHealthcheck
}

// healthError returns the output of the last run of the HEALTHCHECK as an error.
func healthError(health *container.Health) error {
	if len(health.Log) == 0 {
		return fmt.Errorf("%s: the HEALTHCHECK of the image has not run yet", health.Status)
	}
	last := health.Log[len(health.Log)-1]
	return fmt.Errorf("%s, exit status %d: %s", health.Status, last.ExitCode, strings.TrimSpace(last.Output))
}
