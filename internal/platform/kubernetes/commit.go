// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Commit implements bluegreen.Store. It writes the ledger, the history and the selector
// in one request. The cluster refuses the request if the Service has changed since it was
// read. Commit then reads the Service again, and repeats the write only if next still
// follows the ledger there.
func (p *Platform) Commit(ctx context.Context, next bluegreen.Ledger, closed []bluegreen.Record) error {
	run, err := p.requireLock(ctx)
	if err != nil {
		return err
	}
	before, err := p.ensureSnapshot(ctx)
	for isReread := false; ; isReread = true {
		if isReread {
			before, err = p.readSnapshot(ctx)
		}
		if err != nil {
			return err
		}
		if next.Generation != before.ledger.Generation+1 {
			if isReread {
				return bluegreen.ErrStale
			}
			continue
		}
		err := p.commitAfter(ctx, run, before, next, closed)
		if !isOutdatedWrite(err) || ctx.Err() != nil {
			return err
		}
	}
}

// isOutdatedWrite reports whether the cluster refused a write because the object has
// changed, or was created, since it was read.
func isOutdatedWrite(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err)
}

// commitAfter commits next, which follows the ledger in before. It also writes the other
// objects that the commit changes, some before the Service and some after it.
func (p *Platform) commitAfter(
	ctx context.Context, run *lockedRun, before serviceSnapshot, next bluegreen.Ledger, closed []bluegreen.Record,
) error {
	if err := p.readPreview(ctx, run); err != nil {
		return err
	}
	if !run.preview.isManaged && next.Slot(next.Staging()).State == bluegreen.Deploying {
		return &notManagedError{Object: p.previewObject()}
	}
	isAdoption := before.adopted != nil && before.ledger.Generation == 0
	var recycleErr error
	if hasSameLive(before.ledger, next) && canRecycle(next) {
		// The standby is recycled before the ledger says that the watch has ended. If
		// this fails, that ledger is not written, so that the next commit tries again.
		// Any other ledger is written even if the standby cannot be changed.
		recycleErr = p.recycleStandby(ctx, run, before.document)
		if recycleErr != nil && before.ledger.WatchDue != "" {
			return recycleErr
		}
	}
	if isAdoption {
		if err := p.labelAdopted(ctx, run, before.adopted); err != nil {
			return err
		}
	}
	written, err := p.writeLiveService(ctx, run, before, next, closed)
	if err != nil {
		return fmt.Errorf("writing %s: %w", p.serviceObject(), err)
	}
	events := eventsBetween(before.ledger, next)
	if isAdoption {
		events = append([]event{adoptedEvent(before)}, events...)
	}
	if before.ledger.IsServing() && !hasSameLive(before.ledger, next) && canRecycle(next) {
		// The new standby had the traffic until this moment, and may still have
		// connections.
		recycleErr = p.recycleStandby(ctx, run, written.document)
	}
	err = errors.Join(recycleErr, p.pointPreview(ctx, run, p.workloadOf(written.document, next.Staging())))
	if err != nil {
		events = append(events, incompleteEvent(err))
	}
	p.recordEvents(run, events)
	return err
}
