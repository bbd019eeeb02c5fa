// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Commit implements bluegreen.Store. The ledger, the history and the selector are
// one write, which the cluster refuses if somebody else wrote the Service meanwhile.
// Then the Service is read again, and it is decided again whether next follows.
func (p *Platform) Commit(ctx context.Context, next bluegreen.Ledger, closed []bluegreen.Record) error {
	op, err := p.requireLock(ctx)
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
		err := p.commitAfter(ctx, op, before, next, closed)
		if !apierrors.IsConflict(err) || ctx.Err() != nil {
			return err
		}
	}
}

// commitAfter commits next as the successor of before, with the writes to other
// objects that come before and after it.
func (p *Platform) commitAfter(
	ctx context.Context, op *operation, before serviceSnapshot, next bluegreen.Ledger, closed []bluegreen.Record,
) error {
	if err := p.readPreview(ctx, op); err != nil {
		return err
	}
	if !op.preview.isManaged && next.Slot(next.Staging()).State == bluegreen.Deploying {
		return &NotManagedError{Object: p.previewObject()}
	}
	isAdoption := before.adopted != nil && before.ledger.Generation == 0
	var recycleErr error
	if hasSameLive(before.ledger, next) && canRecycle(next) {
		// This comes before the ledger says that the watch has ended, so that it is not
		// forgotten. Other commits do not fail for a standby that cannot be changed.
		recycleErr = p.recycleStandby(ctx, op, before.document)
		if recycleErr != nil && before.ledger.WatchDue != "" {
			return recycleErr
		}
	}
	if isAdoption {
		if err := p.labelAdopted(ctx, op, before.adopted); err != nil {
			return err
		}
	}
	written, err := p.writeLiveService(ctx, op, before, next, closed)
	if err != nil {
		return fmt.Errorf("writing %s: %w", p.serviceObject(), err)
	}
	events := eventsBetween(before.ledger, next)
	if isAdoption {
		events = append([]event{adoptedEvent(before)}, events...)
	}
	if before.ledger.IsServing() && !hasSameLive(before.ledger, next) && canRecycle(next) {
		// What is the standby now had the traffic until this moment.
		recycleErr = p.recycleStandby(ctx, op, written.document)
	}
	err = errors.Join(recycleErr, p.pointPreview(ctx, op, p.workloadOf(written.document, next.Staging())))
	if err != nil {
		events = append(events, incompleteEvent(err))
	}
	p.recordEvents(op, events)
	return err
}
