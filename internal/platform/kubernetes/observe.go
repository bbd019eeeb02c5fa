// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Observe implements bluegreen.Platform. It reads the Service and, at the same
// time, one list of Deployments.
func (p *Platform) Observe(ctx context.Context) (bluegreen.Status, error) {
	api, err := p.client.open()
	if err != nil {
		return bluegreen.Status{}, err
	}
	type reading struct {
		known
		err error
	}
	service := make(chan reading, 1)
	go func() {
		k, err := p.read(ctx)
		service <- reading{k, err}
	}()
	deployments, err := p.deployments(ctx, api)
	read := <-service
	switch {
	case read.err != nil:
		return bluegreen.Status{}, read.err
	case err != nil:
		// Before it is said that there is nothing: that must be beyond doubt.
		return bluegreen.Status{}, err
	case read.service == nil:
		return bluegreen.Status{}, bluegreen.ErrNotFound
	}
	read.ledger = p.withSizes(read.document, deployments)
	status := bluegreen.Status{Ledger: read.ledger, Running: map[bluegreen.Environment]int{}}
	for _, env := range bluegreen.Environments() {
		if status.Running[env], err = p.count(ctx, read.known, env, deployments); err != nil {
			return bluegreen.Status{}, err
		}
	}
	if !p.leads(read.known) {
		// Nothing of live counts while its traffic goes elsewhere.
		status.Running[read.ledger.Live] = 0
	}
	status.Endpoint, status.Preview = p.endpoint(read.service), p.address(previewName(p.opts.Name))
	return status, nil
}

// leads reports whether the Service selects what its ledger says.
func (p *Platform) leads(k known) bool {
	if !k.ledger.IsServing() {
		return true
	}
	want := p.place(k.document, k.ledger.Live).selector
	have := k.service.Spec.Selector
	for key, value := range want {
		if have[key] != value {
			return false
		}
	}
	return len(have) == len(want)
}

// endpoint is where clients reach the live environment: the load balancer where
// there is one, else the name that the Service has in the cluster.
func (p *Platform) endpoint(service *corev1.Service) string {
	balancers := service.Status.LoadBalancer.Ingress
	i := slices.IndexFunc(balancers, func(b corev1.LoadBalancerIngress) bool { return b.IP != "" || b.Hostname != "" })
	if i < 0 {
		return p.address(p.opts.Name)
	}
	host := balancers[i].Hostname
	if host == "" {
		host = balancers[i].IP
	}
	return hostPort(host, p.clientPort())
}

func (p *Platform) address(service string) string {
	return hostPort(service+"."+p.opts.Namespace+".svc", p.clientPort())
}
