// SPDX-License-Identifier: MPL-2.0

package platformtest

import (
	"cmp"
	"encoding/json"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Autoscale gives env another size, as an autoscaler does. It does nothing to an
// environment that is empty.
func (m *Memory) Autoscale(deployment string, env bluegreen.Environment, replicas int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.isAutoscaled = true
	if d := m.deployments[deployment]; d != nil && d.envs[env] != nil {
		(&memoryPlatform{memory: m, name: deployment}).start(d.envs[env], env, replicas)
	}
}

// RemoveWorkload removes everything in env, as a user does by hand.
func (m *Memory) RemoveWorkload(deployment string, env bluegreen.Environment) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.deployments[deployment].envs, env)
}

// ForgetKey removes the key of the fingerprints, as a platform of an earlier version, which
// does not keep it.
func (m *Memory) ForgetKey(deployment string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.deployments[deployment].envs {
		e.key = ""
	}
}

// load returns the ledger with the sizes of now for autoscaled releases.
func (d *memoryDeployment) load() (l bluegreen.Ledger, err error) {
	err = json.Unmarshal(d.ledger, &l)
	for env, e := range d.envs {
		l = l.WithSize(env, len(e.instances))
		l.Key = cmp.Or(l.Key, e.key)
	}
	return l, err
}
