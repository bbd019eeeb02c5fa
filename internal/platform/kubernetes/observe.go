// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Observe implements bluegreen.Platform. It reads both Services and, at the same time,
// lists the Deployments once.
func (p *Platform) Observe(ctx context.Context) (bluegreen.Status, error) {
	api, err := p.client.API()
	if err != nil {
		return bluegreen.Status{}, err
	}
	type result struct {
		serviceSnapshot
		err error
	}
	results := make(chan result, 1)
	go func() {
		snapshot, err := p.readSnapshot(ctx)
		results <- result{snapshot, err}
	}()
	previews := make(chan previewResult, 1)
	go func() { previews <- p.observePreview(ctx, api) }()
	deployments, err := p.listDeployments(ctx, api)
	read, preview := <-results, <-previews
	switch {
	case read.err != nil:
		return bluegreen.Status{}, read.err
	case err != nil:
		// ErrNotFound is returned only if the cluster has answered both requests.
		return bluegreen.Status{}, err
	case read.service == nil:
		return bluegreen.Status{}, bluegreen.ErrNotFound
	case preview.err != nil:
		return bluegreen.Status{}, preview.err
	}
	// The Deployments say what the key is, even if another one was known.
	read.ledger.Key = ""
	read.ledger = p.withKey(p.withCurrentSizes(read.document, deployments), deployments)
	status := bluegreen.Status{
		Ledger: read.ledger, Running: map[bluegreen.Environment]int{}, LedgerLost: p.describeLoss(read.serviceSnapshot),
	}
	for _, env := range bluegreen.Environments() {
		status.Running[env], err = p.countInstances(ctx, read.serviceSnapshot, env, deployments)
		if err != nil {
			return bluegreen.Status{}, err
		}
	}
	if read.ledger.IsServing() && (!p.isSelectingLive(read.serviceSnapshot) || !hasRecordedRoute(read.service)) {
		// No replica of live counts if the traffic goes elsewhere, or nowhere.
		status.Running[read.ledger.Live] = 0
	}
	if status.LedgerLost != "" {
		status.Drift = append(status.Drift, "the ledger of "+p.serviceObject()+" was lost")
	}
	status.Drift = append(status.Drift, p.serviceDrift(read.serviceSnapshot, preview)...)
	status.Endpoint, status.Preview = p.endpoint(read.service), p.serviceAddress(previewName(p.opts.Name))
	return status, nil
}
