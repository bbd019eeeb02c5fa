// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// annotationRecycled is the live record for whose sake a standby's pods are new.
const annotationRecycled = fieldManager + "/recycled-for"

// atRest reports whether nobody needs the pods any more that the standby of next
// had when the traffic left it: the watch over the live release has ended, or none
// follows, as after a rollback.
func atRest(next bluegreen.Ledger) bool {
	standby := next.Slot(next.Staging())
	return next.IsServing() && next.WatchDue == "" && standby.State == bluegreen.Idle && standby.Release != nil
}

// stays reports whether the traffic is before next where it is afterwards.
func stays(before, next bluegreen.Ledger) bool {
	return before.IsServing() && before.Live == next.Live
}

// recycle replaces the pods of the standby one by one, new ones ready first. It
// is one write: the cluster does the rest, also when this process has ended. The
// same write twice changes nothing, so that each holder of the lock writes it
// once, whether or not it was written before: one that was lost comes with the
// next commit.
//
// An adopted Deployment is left as it is: nothing says that its pods go on serving
// until every node has heard that they end.
func (p *Platform) recycle(ctx context.Context, s *session, doc document) error {
	live, _ := doc.ledger.LiveRecord()
	w := p.place(doc, doc.ledger.Staging())
	adopted := w.deployment != workloadName(p.opts.Name, w.environment)
	if !p.opts.RecycleStandby || adopted || s.recycled == live.ID {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{
		"paused":   false,
		"strategy": oneByOne,
		"template": map[string]any{"metadata": map[string]any{"annotations": map[string]string{annotationRecycled: live.ID}}},
	}})
	if err != nil {
		return err
	}
	api, err := s.writer(ctx)
	if err != nil {
		return err
	}
	_, err = api.deployments(p.opts.Namespace).Patch(ctx, w.deployment, types.StrategicMergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
	if err != nil && !absent(err, "deployments", w.deployment) {
		return fmt.Errorf("recycling the standby in %s: %w", objectName("Deployment", p.opts.Namespace, w.deployment), err)
	}
	s.recycled = live.ID
	return nil
}
