// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"context"
	"slices"

	"github.com/moby/moby/client"
)

// DeploymentNames returns the names of the deployments that have a container or a network on
// the host, sorted. It needs no agent.
func (h *Host) DeploymentNames(ctx context.Context) (names []string, err error) {
	engine, _, err := h.addUser()
	if err != nil {
		return nil, err
	}
	defer h.removeUser()
	defer engine.explain(&err)
	ours := client.Filters{}.Add("label", labelAgent+"="+h.agentName, labelDeployment)
	containers, err := engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: ours})
	if err != nil {
		return nil, err
	}
	networks, err := engine.NetworkList(ctx, client.NetworkListOptions{Filters: ours})
	if err != nil {
		return nil, err
	}
	for _, c := range containers.Items {
		names = append(names, c.Labels[labelDeployment])
	}
	for _, n := range networks.Items {
		names = append(names, n.Labels[labelDeployment])
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
