// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// adoption is the workload that a deployment began with: somebody else's
// Deployment, which runs on as it is, as the release in blue.
type adoption struct {
	Deployment string            `json:"deployment"`
	Selector   map[string]string `json:"selector"`
	Container  string            `json:"container"`
	// Fingerprint is that of the release that stands for it.
	Fingerprint string `json:"fingerprint"`
}

func (a *adoption) workload() workload {
	return workload{bluegreen.Blue, a.Deployment, a.Selector, a.Container}
}

// place returns where env runs what the ledger says that it holds.
func (p *Platform) place(d document, env bluegreen.Environment) workload {
	if d.adopted != nil && env == bluegreen.Blue && d.ledger.Blue.Holds(d.adopted.Fingerprint) {
		return d.adopted.workload()
	}
	return p.opts.workload(env)
}

// workloads returns everywhere that something of env may run.
func (p *Platform) workloads(d document, env bluegreen.Environment) []workload {
	all := []workload{p.opts.workload(env)}
	if d.adopted != nil && env == bluegreen.Blue {
		all = append(all, d.adopted.workload())
	}
	return all
}
