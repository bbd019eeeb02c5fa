// SPDX-License-Identifier: MPL-2.0

package platformtest

import (
	"context"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

var _ bluegreen.Readiness = (*memoryPlatform)(nil)

// memoryJudgement is what the machine finds of the instances of a deployment.
type memoryJudgement struct {
	// verdict has no checks until the machine judges at all.
	verdict bluegreen.Verdict
	// changed is closed when there is another one.
	changed chan struct{}
}

func newMemoryJudgement() memoryJudgement { return memoryJudgement{changed: make(chan struct{})} }

// Judge makes the machine find verdict of every instance of the deployment.
func (m *Memory) Judge(deployment string, verdict bluegreen.Verdict) {
	p := &memoryPlatform{machine: m, name: deployment}
	_ = p.with(context.Background(), func(d *memoryDeployment) error {
		close(d.judgement.changed)
		d.judgement = newMemoryJudgement()
		d.judgement.verdict = verdict
		return nil
	})
}

func (p *memoryPlatform) AwaitReady(ctx context.Context, _ bluegreen.Instance) bluegreen.Verdict {
	for {
		now := p.judgement()
		if len(now.verdict) == 0 || now.verdict.Healthy() {
			return now.verdict
		}
		select {
		case <-now.changed:
		case <-ctx.Done():
			return now.verdict
		}
	}
}

func (p *memoryPlatform) Ready(context.Context, bluegreen.Instance) bluegreen.Verdict {
	return p.judgement().verdict
}

func (p *memoryPlatform) judgement() (now memoryJudgement) {
	_ = p.with(context.Background(), func(d *memoryDeployment) error {
		now = d.judgement
		return nil
	})
	return now
}
