// SPDX-License-Identifier: MPL-2.0

package platformtest

import (
	"context"
	"slices"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

var (
	_ bluegreen.Readiness = (*memoryPlatform)(nil)
	_ bluegreen.Restarter = (*memoryPlatform)(nil)
)

// memoryReadiness is how Memory judges the instances of a deployment.
type memoryReadiness struct {
	// verdict has no checks while Memory does not judge.
	verdict bluegreen.Verdict
	// envs are the environments that verdict is about, none for both.
	envs []bluegreen.Environment
	// restarted has the incarnations that Restart began. They are ready.
	restarted map[string]bool
	// changed is closed when another memoryReadiness replaces this one.
	changed chan struct{}
}

func newMemoryReadiness() memoryReadiness {
	return memoryReadiness{restarted: map[string]bool{}, changed: make(chan struct{})}
}

// verdictOn returns the verdict on an instance.
func (r memoryReadiness) verdictOn(instance bluegreen.Instance) bluegreen.Verdict {
	if len(r.envs) > 0 && !slices.Contains(r.envs, environmentOf(instance)) {
		return nil
	}
	if r.restarted[instance.Incarnation] {
		return bluegreen.Verdict{"ready": nil}
	}
	return r.verdict
}

// isUnready reports whether Memory holds an instance not ready.
func (r memoryReadiness) isUnready(instance bluegreen.Instance) bool {
	verdict := r.verdictOn(instance)
	return len(verdict) > 0 && !verdict.IsHealthy()
}

// SetReadiness makes verdict the platform's own on every instance of the deployment, or
// only on those in envs if any are given.
func (m *Memory) SetReadiness(deployment string, verdict bluegreen.Verdict, envs ...bluegreen.Environment) {
	p := &memoryPlatform{memory: m, name: deployment}
	_ = p.with(context.Background(), func(d *memoryDeployment) error {
		close(d.readiness.changed)
		d.readiness = newMemoryReadiness()
		d.readiness.verdict, d.readiness.envs = verdict, envs
		return nil
	})
}

func (p *memoryPlatform) AwaitReady(ctx context.Context, instance bluegreen.Instance) bluegreen.Verdict {
	for {
		now := p.readiness()
		verdict := now.verdictOn(instance)
		if len(verdict) == 0 || verdict.IsHealthy() {
			return verdict
		}
		select {
		case <-now.changed:
		case <-ctx.Done():
			return verdict
		}
	}
}

func (p *memoryPlatform) Ready(_ context.Context, instance bluegreen.Instance) bluegreen.Verdict {
	return p.readiness().verdictOn(instance)
}

// readiness returns how Memory judges now.
func (p *memoryPlatform) readiness() (now memoryReadiness) {
	_ = p.with(context.Background(), func(d *memoryDeployment) error {
		now = d.readiness
		return nil
	})
	return now
}
