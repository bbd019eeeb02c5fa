// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/moby/moby/client"
)

// addPortOwner adds the name of the container that publishes the port to an error about
// an address. It returns the error as it is if no container does.
func (m *agentManager) addPortOwner(ctx context.Context, taken *AddressError) error {
	_, port, err := net.SplitHostPort(taken.Address)
	if err != nil {
		return taken
	}
	options := client.ContainerListOptions{Filters: client.Filters{}.Add("publish", port)}
	list, err := m.engine.ContainerList(ctx, options)
	if err != nil || len(list.Items) == 0 || len(list.Items[0].Names) == 0 {
		return taken
	}
	return fmt.Errorf("%w: container %q publishes that port", taken, strings.TrimPrefix(list.Items[0].Names[0], "/"))
}
