// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Prepare implements bluegreen.Workloads. It asks the API server whether it accepts the
// Deployment. It pulls no image and finds out no digest, because only the nodes can pull
// images.
func (p *Platform) Prepare(ctx context.Context, release bluegreen.Release) (imageDigest string, err error) {
	run, err := p.requireLock(ctx)
	if err != nil {
		return "", err
	}
	snapshot, err := p.ensureSnapshot(ctx)
	if err != nil {
		return "", err
	}
	env := bluegreen.Green
	if snapshot.service != nil {
		env = snapshot.ledger.Staging()
	}
	want, err := p.wantedDeployment(snapshot, env, release)
	if err != nil {
		return "", err
	}
	if err := p.tryDeployment(ctx, run, want); err != nil {
		return "", fmt.Errorf("checking %s: %w", p.deploymentObject(want.Metadata.Name), err)
	}
	return release.ImageDigest, nil
}

// wantedDeployment returns the Deployment that runs release in env and keeps the ledger's
// key. A release that was deployed before runs the very image that it ran then.
func (p *Platform) wantedDeployment(
	snapshot serviceSnapshot, env bluegreen.Environment, release bluegreen.Release,
) (deploymentApply, error) {
	opts := p.opts
	if snapshot.adopted != nil {
		opts.adoptedSelector = snapshot.adopted.Selector
	}
	want, err := opts.deployment(env, release)
	want.Metadata.Annotations = keyAnnotations(snapshot.ledger.Key)
	return want, err
}

// Provision implements bluegreen.Workloads. It returns when every pod has started its
// container, or with an error as soon as it is certain that a pod never will. The pods
// get the settings of the release. The settings in the options are not used.
func (p *Platform) Provision(
	ctx context.Context, env bluegreen.Environment, release bluegreen.Release,
) (imageDigest string, err error) {
	run, err := p.requireLock(ctx)
	if err != nil {
		return "", err
	}
	snapshot, err := p.ensureSnapshot(ctx)
	if err != nil {
		return "", err
	}
	want, err := p.wantedDeployment(snapshot, env, release)
	if err != nil {
		return "", err
	}
	rollout := &rollout{
		release: &release,
		opts:    p.opts, informers: informersFor(run.Session, p.opts.managedWorkload(env)),
		template: want.Metadata.Labels[labelTemplate], replicas: release.Replicas, isAutoscaled: release.Autoscaled,
	}
	if snapshot.ledger.IsServing() && snapshot.ledger.Live == env {
		// The Deployment of live is gone. Pods that are left of it may still serve.
		rollout.isLive = true
		err = p.rollOut(ctx, run, env, want, rollout)
	} else {
		err = p.provisionStaging(ctx, run, env, want, rollout)
	}
	if err != nil {
		return "", p.withLogs(ctx, run, err)
	}
	return rollout.digest, nil
}

// provisionStaging uses the Deployment in staging if it runs the same release, such as
// one that was rolled back. It recreates the Deployment if there is no such Deployment,
// or if the pods are not complete within standbyTime.
func (p *Platform) provisionStaging(
	ctx context.Context, run *lockedRun, env bluegreen.Environment, want deploymentApply, rollout *rollout,
) error {
	reusing, cancel := context.WithTimeout(ctx, standbyTime)
	defer cancel()
	err := p.rollOut(reusing, run, env, want, rollout)
	if err == nil || ctx.Err() != nil {
		return err
	}
	rollout.isRecreated = true
	return p.rollOut(ctx, run, env, want, rollout)
}

// errNothingToReuse means that staging has no Deployment of the same release.
var errNothingToReuse = errors.New("nothing is left of the release")

// rollOut writes the Deployment and waits for its pods. If the Deployment is to be
// recreated, it first removes everything that runs in env.
func (p *Platform) rollOut(
	ctx context.Context, run *lockedRun, env bluegreen.Environment, want deploymentApply, rollout *rollout,
) error {
	if err := p.updateDeployment(ctx, rollout.informers, func(found *appsv1.Deployment) error {
		if rollout.isRecreated {
			// The pods of another release have been drained, and so can be removed at
			// once.
			if err := p.remove(ctx, run, env); err != nil {
				return err
			}
			found = nil
		} else if !rollout.isLive && (found == nil || found.Labels[labelTemplate] != rollout.template) {
			return errNothingToReuse
		}
		written, err := p.writeDeployment(ctx, run, want, found)
		if err != nil {
			return fmt.Errorf("writing %s: %w", p.deploymentObject(want.Metadata.Name), err)
		}
		rollout.generation, rollout.hasExisted = written.Generation, found != nil
		return nil
	}); err != nil {
		return err
	}
	return rollout.await(ctx)
}
