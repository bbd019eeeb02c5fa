// SPDX-License-Identifier: MPL-2.0

package platformtest

import (
	"context"
	"slices"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

var _ bluegreen.Readiness = (*memoryPlatform)(nil)

// memoryJudgement is what the machine finds of the instances of a deployment.
type memoryJudgement struct {
	// verdict has no checks until the machine judges at all.
	verdict bluegreen.Verdict
	// of are the environments that it is about; none are all.
	of []bluegreen.Environment
	// changed is closed when there is another one.
	changed chan struct{}
}

func newMemoryJudgement() memoryJudgement { return memoryJudgement{changed: make(chan struct{})} }

// on is what it says of an instance.
func (j memoryJudgement) on(instance bluegreen.Instance) bluegreen.Verdict {
	if len(j.of) > 0 && !slices.Contains(j.of, environmentOf(instance)) {
		return nil
	}
	return j.verdict
}

// Judge makes the machine find verdict of every instance of the deployment, or of
// those in the environments that are given.
func (m *Memory) Judge(deployment string, verdict bluegreen.Verdict, of ...bluegreen.Environment) {
	p := &memoryPlatform{machine: m, name: deployment}
	_ = p.with(context.Background(), func(d *memoryDeployment) error {
		close(d.judgement.changed)
		d.judgement = newMemoryJudgement()
		d.judgement.verdict, d.judgement.of = verdict, of
		return nil
	})
}

func (p *memoryPlatform) AwaitReady(ctx context.Context, instance bluegreen.Instance) bluegreen.Verdict {
	for {
		now := p.judgement()
		verdict := now.on(instance)
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
	return p.judgement().on(instance)
}

func (p *memoryPlatform) judgement() (now memoryJudgement) {
	_ = p.with(context.Background(), func(d *memoryDeployment) error {
		now = d.judgement
		return nil
	})
	return now
}
