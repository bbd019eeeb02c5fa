// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"context"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

var _ bluegreen.Restarter = (*Platform)(nil)

// Restart implements bluegreen.Restarter. Another container takes the place of the
// instance's, because a paused or disconnected container does not recover by a restart.
func (p *Platform) Restart(
	ctx context.Context, env bluegreen.Environment, instance bluegreen.Instance,
) (err error) {
	defer p.engine.explain(&err)
	lock, err := p.currentLock()
	if err != nil {
		return err
	}
	spec, err := storedSpec(ctx, lock, env)
	if err != nil {
		return err
	}
	present, err := p.containers(ctx, env)
	if err != nil {
		return err
	}
	size := 0
	var others, ended []replicaContainer
	for _, c := range present {
		size = max(size, c.number)
		if c.instance == instance.ID && c.id == containerOf(instance.Ref()) {
			ended = append(ended, c)
		} else {
			others = append(others, c)
		}
	}
	if len(ended) == 0 {
		return nil
	}
	subnet, err := p.ensureNetwork(ctx)
	if err != nil {
		return err
	}
	replicas, err := subnet.replicas(env, size)
	if err != nil {
		return err
	}
	left := externalReplicas(replicas, others, spec.Workload.Port)
	if err := p.replaceRoutes(ctx, lock, env, left, ended); err != nil {
		return err
	}
	return p.converge(ctx, lock, env, spec, size)
}
