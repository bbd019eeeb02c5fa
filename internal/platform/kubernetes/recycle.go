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

// watchEnds reports whether next is the end of the watch over the live release:
// from then on nobody needs the pods that had the traffic before.
func watchEnds(before, next bluegreen.Ledger) bool {
	return before.Unwatched != "" && next.Unwatched == "" && next.Live == before.Live && next.Serving()
}

// turnsBack reports whether next takes the traffic back to the standby, which no
// watch follows.
func turnsBack(before, next bluegreen.Ledger) bool {
	return before.Serving() && next.Serving() && next.Live != before.Live && next.Unwatched == ""
}

// recycle replaces the pods of the standby one by one, new ones ready first. It
// is one write: the cluster does the rest, also when this process has ended. The
// same write twice changes nothing, so that one whose answer got lost is no harm.
//
// An adopted Deployment is left as it is: nothing says that its pods go on serving
// until every node has heard that they end.
func (p *Platform) recycle(ctx context.Context, s *session, doc document) error {
	live, _ := doc.ledger.LiveRecord()
	standby := doc.ledger.Slot(doc.ledger.Staging())
	w := p.place(doc, doc.ledger.Staging())
	adopted := w.deployment != workloadName(p.opts.Name, w.environment)
	if !p.opts.RecycleStandby || adopted || standby.State != bluegreen.Idle || standby.Release == nil {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{
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
	return nil
}
