// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// writeDeployment creates the Deployment, or replaces found if that is not nil. The
// cluster refuses the write if the Deployment has changed, or was created, since it was
// found.
func (p *Platform) writeDeployment(
	ctx context.Context, run *lockedRun, want deploymentApply, found *appsv1.Deployment,
) (*appsv1.Deployment, error) {
	if found != nil {
		want.Metadata.UID, want.Metadata.ResourceVersion = found.UID, found.ResourceVersion
	}
	encoded, err := json.Marshal(want)
	if err != nil {
		return nil, err
	}
	api, err := run.Writer(ctx)
	if err != nil {
		return nil, err
	}
	deployments := api.Deployments(p.opts.Namespace)
	if found == nil {
		// A server-side apply cannot require that there is none. It would change a
		// Deployment that another holder of the lock created meanwhile.
		var object appsv1.Deployment
		if err := json.Unmarshal(encoded, &object); err != nil {
			return nil, err
		}
		return deployments.Create(ctx, &object, metav1.CreateOptions{FieldManager: cluster.FieldManager})
	}
	force := true
	return deployments.Patch(ctx, want.Metadata.Name, types.ApplyPatchType, encoded,
		metav1.PatchOptions{FieldManager: cluster.FieldManager, Force: &force})
}

// tryDeployment returns an error if the cluster would refuse to write the Deployment. It
// writes nothing. If the cluster cannot try the write, it returns nil.
func (p *Platform) tryDeployment(ctx context.Context, run *lockedRun, want deploymentApply) error {
	encoded, err := json.Marshal(want)
	if err != nil {
		return err
	}
	api, err := run.Writer(ctx)
	if err != nil {
		return err
	}
	force := true
	_, err = api.Deployments(p.opts.Namespace).Patch(ctx, want.Metadata.Name, types.ApplyPatchType, encoded,
		metav1.PatchOptions{FieldManager: cluster.FieldManager, Force: &force, DryRun: []string{metav1.DryRunAll}})
	if isUntried(err) {
		return nil
	}
	return err
}

// isUntried reports whether err says nothing about the write. That is so if an admission
// webhook does not support dry runs. It is also so if only the selector differs, because
// a Deployment with another selector is removed before the write.
func isUntried(err error) bool {
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		return false
	}
	status := answer.Status()
	if strings.Contains(status.Message, "does not support dry run") {
		return true
	}
	return status.Details != nil && len(status.Details.Causes) > 0 &&
		!slices.ContainsFunc(status.Details.Causes, func(cause metav1.StatusCause) bool {
			return cause.Field != "spec.selector"
		})
}

// updateDeployment calls update with the current Deployment, or with nil if there is
// none. If the cluster refuses the write because the Deployment has changed, it calls
// update again. A Deployment changes often, because its status is part of it.
func (p *Platform) updateDeployment(
	ctx context.Context, informers *workloadInformers, update func(found *appsv1.Deployment) error,
) error {
	for {
		found, err := p.managedDeployment(ctx, informers)
		if err != nil {
			return err
		}
		err = update(found)
		if !isOutdatedWrite(err) {
			return err
		}
		if ctxErr := informers.awaitOtherVersion(ctx, found); ctxErr != nil {
			return fmt.Errorf("%w while %w", ctxErr, err)
		}
	}
}

// conflictWait limits how long a refused write waits for another version of the
// Deployment. There may be none, because the cluster can have another reason for a
// conflict, such as a quota that two requests wanted to use at once.
const conflictWait = time.Second

// awaitOtherVersion returns when the Deployment is not this version any more, or after
// conflictWait. version is nil if there was no Deployment.
func (i *workloadInformers) awaitOtherVersion(ctx context.Context, version *appsv1.Deployment) error {
	waiting, cancel := context.WithTimeout(ctx, conflictWait)
	defer cancel()
	err := i.session.Await(waiting, func() (bool, time.Duration, error) {
		now, err := i.deployment()
		return err == nil && resourceVersionOf(now) != resourceVersionOf(version), 0, err
	})
	if ctx.Err() == nil && waiting.Err() != nil {
		return nil
	}
	return err
}

// resourceVersionOf returns the resourceVersion of a Deployment, or "" if there is none.
func resourceVersionOf(d *appsv1.Deployment) string {
	if d == nil {
		return ""
	}
	return d.ResourceVersion
}

// managedDeployment returns the current Deployment, or nil if there is none. The error is
// a *notManagedError if this provider does not manage the Deployment. If the Deployment
// is being deleted, it waits until it is gone, because a write to it would be lost.
func (p *Platform) managedDeployment(ctx context.Context, informers *workloadInformers) (*appsv1.Deployment, error) {
	var found *appsv1.Deployment
	if err := informers.awaitDeployment(ctx, func(now *appsv1.Deployment) bool {
		found = now
		return !isBeingDeleted(now) || !p.isManaged(now)
	}); err != nil {
		return nil, err
	}
	if found != nil && !p.isManaged(found) {
		return nil, &notManagedError{Object: p.deploymentObject(found.Name)}
	}
	return found, nil
}

func (p *Platform) isManaged(d *appsv1.Deployment) bool {
	return d.Labels[labelDeployment] == p.opts.Name
}

func isBeingDeleted(d *appsv1.Deployment) bool { return d != nil && d.DeletionTimestamp != nil }

// awaitDeployment returns when isDone accepts the Deployment, which is nil if there is
// none. If the wait fails while the Deployment is being deleted, the error wraps a
// *beingDeletedError that names its finalizers.
func (i *workloadInformers) awaitDeployment(ctx context.Context, isDone func(*appsv1.Deployment) bool) error {
	var now *appsv1.Deployment
	err := i.session.Await(ctx, func() (done bool, again time.Duration, err error) {
		now, err = i.deployment()
		return err == nil && isDone(now), 0, err
	})
	if err != nil && isBeingDeleted(now) {
		return fmt.Errorf("%w while %w", err, newBeingDeletedError("Deployment", now))
	}
	return err
}
