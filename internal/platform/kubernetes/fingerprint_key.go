// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"cmp"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// annotationKey of a Deployment of ours holds the key of the fingerprints in the ledger. Who
// reads the Deployment reads the environment variables of its pods as well. The Service,
// which has the ledger, never has the key.
const annotationKey = cluster.FieldManager + "/fingerprint-key"

// keyAnnotations are the annotations of a Deployment that keep the key.
func keyAnnotations(key bluegreen.FingerprintKey) map[string]string {
	if key == "" {
		return nil
	}
	return map[string]string{annotationKey: string(key)}
}

// withKey returns the ledger with the key that the Deployments keep, or the known one, and
// remembers it. What is provisioned later gets it.
func (p *Platform) withKey(l bluegreen.Ledger, deployments []appsv1.Deployment) bluegreen.Ledger {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, env := range []bluegreen.Environment{l.Live, l.Staging()} {
		if found := findDeployment(deployments, workloadName(p.opts.Name, env)); found != nil {
			l.Key = cmp.Or(l.Key, bluegreen.FingerprintKey(found.Annotations[annotationKey]))
		}
	}
	l.Key = cmp.Or(l.Key, p.key)
	p.key = l.Key
	return l
}
