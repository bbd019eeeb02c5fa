// SPDX-License-Identifier: MPL-2.0

package platformtest

import (
	"encoding/json"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Autoscale gives env another size, as something else than the engine does that
// looks after the load. It does nothing to an environment that is empty.
func (m *Memory) Autoscale(deployment string, env bluegreen.Environment, replicas int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.autoscales = true
	if d := m.deployments[deployment]; d != nil && d.envs[env] != nil {
		(&memoryPlatform{machine: m, name: deployment}).start(d.envs[env], env, replicas)
	}
}

// Lose takes away what is in env, as somebody does who does not know better.
func (m *Memory) Lose(deployment string, env bluegreen.Environment) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.deployments[deployment].envs, env)
}

// seen is the ledger with the sizes that there are now.
func (d *memoryDeployment) seen() (l bluegreen.Ledger, err error) {
	err = json.Unmarshal(d.ledger, &l)
	for env, e := range d.envs {
		l = l.WithSize(env, len(e.instances))
	}
	return l, err
}
