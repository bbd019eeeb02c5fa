// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Provision implements bluegreen.Workloads. It returns when every pod has started
// its container, or at once when one never will.
func (p *Platform) Provision(ctx context.Context, env bluegreen.Environment, release bluegreen.Release) (string, error) {
	s, err := p.changing(ctx)
	if err != nil {
		return "", err
	}
	k, err := p.recall(ctx)
	if err != nil {
		return "", err
	}
	opts := p.opts
	if k.adopted != nil {
		opts.avoid = k.adopted.Selector
	}
	want, err := opts.deployment(env, release)
	if err != nil {
		return "", err
	}
	template := want.Metadata.Labels[labelTemplate]
	seen := s.watch(p.opts.workload(env))
	found, err := p.ours(ctx, s, seen)
	if err != nil {
		return "", err
	}
	waiting := &rollout{session: s, sight: seen, template: template, replicas: release.Replicas, autoscaled: release.Autoscaled}
	if found != nil && found.Labels[labelTemplate] == template {
		// What is left of the same release, as of one that was taken back, may never
		// be whole again.
		settling, cancel := context.WithTimeout(ctx, standbyTime)
		defer cancel()
		if err := p.rollOut(settling, want, waiting); err == nil || ctx.Err() != nil {
			return waiting.digest, err
		}
	}
	// Another release's pods go at once: what they had in flight is drained.
	if err := p.remove(ctx, s, env); err != nil {
		return "", err
	}
	waiting.fresh = true
	if err := p.rollOut(ctx, want, waiting); err != nil {
		return "", p.withLogs(ctx, s, err)
	}
	return waiting.digest, nil
}

// rollOut writes a Deployment and waits for its pods.
func (p *Platform) rollOut(ctx context.Context, want deploymentApply, waiting *rollout) error {
	written, err := p.applyDeployment(ctx, waiting.session, want)
	if err != nil {
		return fmt.Errorf("writing %s: %w", objectName("Deployment", p.opts.Namespace, want.Metadata.Name), err)
	}
	waiting.generation = written.Generation
	return waiting.await(ctx)
}

func (p *Platform) applyDeployment(ctx context.Context, s *session, want deploymentApply) (*appsv1.Deployment, error) {
	encoded, err := json.Marshal(want)
	if err != nil {
		return nil, err
	}
	force := true
	return s.api.deployments(p.opts.Namespace).Patch(ctx, want.Metadata.Name, types.ApplyPatchType, encoded,
		metav1.PatchOptions{FieldManager: fieldManager, Force: &force})
}

// ours returns the Deployment that is seen, nil where there is none, or a
// *ForeignError where somebody else made it.
func (p *Platform) ours(ctx context.Context, s *session, seen *sight) (*appsv1.Deployment, error) {
	var found *appsv1.Deployment
	if err := s.bell.await(ctx, func() (done bool, again time.Duration, err error) {
		found, err = seen.deployment()
		return err == nil, 0, err
	}); err != nil {
		return nil, err
	}
	if found != nil && found.Labels[labelDeployment] != p.opts.Name {
		return nil, &ForeignError{Object: objectName("Deployment", p.opts.Namespace, found.Name)}
	}
	return found, nil
}

// withLogs adds what the container of a StartError wrote last.
func (p *Platform) withLogs(ctx context.Context, s *session, err error) error {
	var failure *StartError
	if errors.As(err, &failure) && failure.Exit != "" {
		// The logs are an extra: without them the error is what it is.
		failure.Logs, _ = readLogs(ctx, s.api, p.opts.Namespace, failure.Pod, &corev1.PodLogOptions{Container: failure.Container}, failureLines)
	}
	return err
}

// failureLines is how many of a container's last lines a StartError has.
const failureLines = 10

// Remove implements bluegreen.Workloads. It returns when every pod has been told
// to end, which they do in their own time.
func (p *Platform) Remove(ctx context.Context, env bluegreen.Environment) error {
	s, err := p.changing(ctx)
	if err != nil {
		return err
	}
	return p.remove(ctx, s, env)
}

func (p *Platform) remove(ctx context.Context, s *session, env bluegreen.Environment) error {
	k, err := p.recall(ctx)
	if err != nil {
		return err
	}
	for _, w := range p.workloads(k.document, env) {
		if err := p.removeWorkload(ctx, s, s.watch(w)); err != nil {
			return err
		}
	}
	return nil
}

func (p *Platform) removeWorkload(ctx context.Context, s *session, seen *sight) error {
	found, err := p.ours(ctx, s, seen)
	if err != nil {
		return err
	}
	if found != nil {
		background := metav1.DeletePropagationBackground
		err := s.api.deployments(p.opts.Namespace).Delete(ctx, found.Name, metav1.DeleteOptions{
			PropagationPolicy: &background, Preconditions: &metav1.Preconditions{UID: &found.UID},
		})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("removing %s: %w", objectName("Deployment", p.opts.Namespace, found.Name), err)
		}
	}
	return s.bell.await(ctx, func() (bool, time.Duration, error) {
		deployment, pods, err := seen.now()
		return err == nil && deployment == nil && len(pods) == 0, 0, err
	})
}
