// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// annotationRecycled is the ID of the live record for which a standby's pods were
// replaced. It is in the pod template, so that a new value replaces the pods.
const annotationRecycled = cluster.FieldManager + "/recycled-for"

// canRecycle reports whether the pods that the standby had when the traffic left it may
// be replaced. They may be once the watch over the live release has ended, or if there is
// none, as after a rollback.
func canRecycle(next bluegreen.Ledger) bool {
	standby := next.Slot(next.Staging())
	return next.IsServing() && next.WatchDue == "" && standby.State == bluegreen.Idle && standby.Release != nil
}

// hasSameLive reports whether the commit of next leaves the traffic where it was before.
func hasSameLive(before, next bluegreen.Ledger) bool {
	return before.IsServing() && before.Live == next.Live
}

// recycleStandby replaces the pods of the standby one by one. Each new pod is ready
// before an old one ends. It writes the Deployment once, and the cluster does the rest,
// even after this process has ended. The same write twice changes nothing. So each
// lockedRun makes it once, even if an earlier one has: that write may have been lost.
//
// It does not change an adopted Deployment, because its pods may stop serving before
// every node knows that they end.
func (p *Platform) recycleStandby(ctx context.Context, run *lockedRun, doc document) error {
	live, _ := doc.ledger.LiveRecord()
	w := p.workloadOf(doc, doc.ledger.Staging())
	isAdopted := w.deployment != workloadName(p.opts.Name, w.environment)
	if !p.opts.RecycleStandby || isAdopted || run.recycledFor == live.ID {
		return nil
	}
	err := p.writeRecycling(ctx, run, w, live.ID, doc.ledger.Slot(w.environment).Release)
	if err != nil && !cluster.IsNotFound(err, "deployments", w.deployment) {
		return fmt.Errorf("recycling the standby in %s: %w", p.deploymentObject(w.deployment), err)
	}
	run.recycledFor = live.ID
	return nil
}

func (p *Platform) writeRecycling(
	ctx context.Context, run *lockedRun, w workload, liveRecord string, release *bluegreen.Release,
) error {
	// It lists, because the Role of the examples has no right to get a Deployment.
	list, err := run.API().Deployments(p.opts.Namespace).List(ctx, cluster.WithName(w.deployment))
	if err != nil {
		return err
	}
	found := findDeployment(list.Items, w.deployment)
	if found == nil {
		return nil
	}
	patch, err := recyclingPatch(w, found, liveRecord, release)
	if err != nil {
		return err
	}
	api, err := run.Writer(ctx)
	if err != nil {
		return err
	}
	_, err = api.Deployments(p.opts.Namespace).Patch(ctx, w.deployment, types.StrategicMergePatchType, patch,
		metav1.PatchOptions{FieldManager: cluster.FieldManager})
	return err
}

// recyclingPatch returns the patch that replaces the pods of the standby's Deployment.
// The new pods run the image that the release was deployed as, even if its tag has moved.
func recyclingPatch(
	w workload, found *appsv1.Deployment, liveRecord string, release *bluegreen.Release,
) ([]byte, error) {
	template := map[string]any{}
	container := findContainer(&found.Spec.Template, w.container)
	if release != nil && container != nil && isImageOf(container.Image, *release) {
		template = imagePatch(w.container, imageToPull(container, *release))
	}
	template["metadata"] = map[string]any{"annotations": map[string]string{annotationRecycled: liveRecord}}
	return json.Marshal(map[string]any{"spec": map[string]any{
		"paused":   false,
		"strategy": oneByOne,
		"template": template,
	}})
}
