// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
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
	waiting := &rollout{session: s, sight: seen, template: template, replicas: release.Replicas, autoscaled: release.Autoscaled}
	if k.ledger.IsServing() && k.ledger.Live == env {
		// Its Deployment is gone; pods that are left of it may serve still.
		waiting.live = true
		err = p.rollOut(ctx, s, env, want, waiting)
	} else {
		err = p.provisionStaging(ctx, s, env, want, waiting)
	}
	if err != nil {
		return "", p.withLogs(ctx, s, err)
	}
	return waiting.digest, nil
}

// provisionStaging makes do with what is left of the same release, as of one that
// was taken back, unless that is not whole in time.
func (p *Platform) provisionStaging(ctx context.Context, s *session, env bluegreen.Environment, want deploymentApply, waiting *rollout) error {
	settling, cancel := context.WithTimeout(ctx, standbyTime)
	defer cancel()
	err := p.rollOut(settling, s, env, want, waiting)
	if err == nil || ctx.Err() != nil {
		return err
	}
	waiting.fresh = true
	return p.rollOut(ctx, s, env, want, waiting)
}

// errNothingLeft: there is no Deployment of the same release.
var errNothingLeft = errors.New("nothing is left of it")

// rollOut writes a Deployment, in the place of everything that runs in env where it
// is to be fresh, and waits for its pods.
func (p *Platform) rollOut(ctx context.Context, s *session, env bluegreen.Environment, want deploymentApply, waiting *rollout) error {
	if err := p.withOurs(ctx, s, waiting.sight, func(found *appsv1.Deployment) error {
		if waiting.fresh {
			// Another release's pods go at once: what they had in flight is drained.
			if err := p.remove(ctx, s, env); err != nil {
				return err
			}
			found = nil
		} else if !waiting.live && (found == nil || found.Labels[labelTemplate] != waiting.template) {
			return errNothingLeft
		}
		written, err := p.writeDeployment(ctx, s, want, found)
		if err != nil {
			return fmt.Errorf("writing %s: %w", objectName("Deployment", p.opts.Namespace, want.Metadata.Name), err)
		}
		waiting.generation, waiting.seen = written.Generation, found != nil
		return nil
	}); err != nil {
		return err
	}
	return waiting.await(ctx)
}

// writeDeployment makes the Deployment what it is to be, in the place of found,
// nil for none. The cluster refuses that where there is something else by now.
func (p *Platform) writeDeployment(ctx context.Context, s *session, want deploymentApply, found *appsv1.Deployment) (*appsv1.Deployment, error) {
	if found != nil {
		want.Metadata.UID, want.Metadata.ResourceVersion = found.UID, found.ResourceVersion
	}
	encoded, err := json.Marshal(want)
	if err != nil {
		return nil, err
	}
	api, err := s.writer(ctx)
	if err != nil {
		return nil, err
	}
	deployments := api.deployments(p.opts.Namespace)
	if found == nil {
		// An apply cannot ask that there be nothing: it would change what another
		// holder of the lock made meanwhile.
		var object appsv1.Deployment
		if err := json.Unmarshal(encoded, &object); err != nil {
			return nil, err
		}
		return deployments.Create(ctx, &object, metav1.CreateOptions{FieldManager: fieldManager})
	}
	force := true
	return deployments.Patch(ctx, want.Metadata.Name, types.ApplyPatchType, encoded,
		metav1.PatchOptions{FieldManager: fieldManager, Force: &force})
}

// withOurs has act write what follows from the Deployment that is seen, which is
// nil where there is none. Where the cluster says that it has changed meanwhile,
// as its status does all the time, act is called again with what is seen then.
func (p *Platform) withOurs(ctx context.Context, s *session, seen *sight, act func(found *appsv1.Deployment) error) error {
	for {
		found, err := p.ours(ctx, s, seen)
		if err != nil {
			return err
		}
		err = act(found)
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			return err
		}
		if ctxErr := s.awaitOther(ctx, seen, found); ctxErr != nil {
			return fmt.Errorf("%w while %w", ctxErr, err)
		}
	}
}

// lookAgain is how long a write that was refused waits at most for what is seen
// to change: the cluster may have had another reason, such as a quota that two
// wanted to count in at once.
const lookAgain = time.Second

// awaitOther returns when another version of the Deployment is seen than this one,
// nil for none, or after a while.
func (s *session) awaitOther(ctx context.Context, seen *sight, than *appsv1.Deployment) error {
	waiting, cancel := context.WithTimeout(ctx, lookAgain)
	defer cancel()
	err := s.bell.await(waiting, func() (bool, time.Duration, error) {
		now, err := seen.deployment()
		return err == nil && versionOf(now) != versionOf(than), 0, err
	})
	if ctx.Err() == nil && waiting.Err() != nil {
		return nil
	}
	return err
}

// versionOf tells a Deployment from what it was and will be; nil has one as well.
func versionOf(d *appsv1.Deployment) string {
	if d == nil {
		return ""
	}
	return d.ResourceVersion
}

// ours returns the Deployment that is seen, nil where there is none, or a
// *ForeignError where somebody else made it. One that is being removed is waited
// for: what is written to it is lost with it.
func (p *Platform) ours(ctx context.Context, s *session, seen *sight) (*appsv1.Deployment, error) {
	var found *appsv1.Deployment
	if err := s.awaitDeployment(ctx, seen, func(now *appsv1.Deployment) bool {
		found = now
		return !isLeaving(now) || !p.owns(now)
	}); err != nil {
		return nil, err
	}
	if found != nil && !p.owns(found) {
		return nil, &ForeignError{Object: objectName("Deployment", p.opts.Namespace, found.Name)}
	}
	return found, nil
}

func (p *Platform) owns(d *appsv1.Deployment) bool { return d.Labels[labelDeployment] == p.opts.Name }

func isLeaving(d *appsv1.Deployment) bool { return d != nil && d.DeletionTimestamp != nil }

// awaitDeployment returns when the Deployment, nil for none, is as it should be. If
// it never is, the error has the *LeavingError of one that does not go.
func (s *session) awaitDeployment(ctx context.Context, seen *sight, is func(*appsv1.Deployment) bool) error {
	var now *appsv1.Deployment
	err := s.bell.await(ctx, func() (done bool, again time.Duration, err error) {
		now, err = seen.deployment()
		return err == nil && is(now), 0, err
	})
	if err != nil && isLeaving(now) {
		return fmt.Errorf("%w while %w", err, leaving("Deployment", now))
	}
	return err
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
	if err := p.withOurs(ctx, s, seen, func(found *appsv1.Deployment) error {
		if found == nil {
			return nil
		}
		api, err := s.writer(ctx)
		if err != nil {
			return err
		}
		background := metav1.DeletePropagationBackground
		err = api.deployments(p.opts.Namespace).Delete(ctx, found.Name, metav1.DeleteOptions{
			PropagationPolicy: &background,
			Preconditions:     &metav1.Preconditions{UID: &found.UID, ResourceVersion: &found.ResourceVersion},
		})
		if err != nil && !absent(err, "deployments", found.Name) {
			return fmt.Errorf("removing %s: %w", objectName("Deployment", p.opts.Namespace, found.Name), err)
		}
		return nil
	}); err != nil {
		return err
	}
	if err := s.awaitDeployment(ctx, seen, func(now *appsv1.Deployment) bool { return now == nil }); err != nil {
		return err
	}
	began := s.api.clock.now()
	return s.bell.await(ctx, func() (bool, time.Duration, error) {
		_, pods, err := seen.now()
		if err != nil {
			return false, 0, err
		}
		pods = seen.workload.own(pods)
		if patience := began.Add(orphanTime).Sub(s.api.clock.now()); len(pods) > 0 && patience > 0 {
			return false, patience, nil
		}
		if len(pods) > 0 {
			return false, 0, &OrphanError{objectName("Deployment", p.opts.Namespace, seen.workload.deployment), namesOf(pods)}
		}
		return true, 0, nil
	})
}

// orphanTime is how long the cluster may take to tell the pods of a Deployment
// that is gone to end.
const orphanTime = time.Minute

// OrphanError are pods that nobody ends, as those of a Deployment that was removed
// with --cascade=orphan.
type OrphanError struct {
	// Object is "Deployment default/web-green".
	Object string
	Pods   []string
}

func (e *OrphanError) Error() string {
	return fmt.Sprintf("%s is gone, and its pods (%s) are not told to end: remove them and their ReplicaSet", e.Object, strings.Join(e.Pods, ", "))
}

func namesOf(pods []*corev1.Pod) []string {
	var names []string
	for _, pod := range pods {
		names = append(names, pod.Name)
	}
	return names
}
