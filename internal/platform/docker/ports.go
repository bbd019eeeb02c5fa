// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent"
)

// publisher adds to an error about an address which container publishes its
// port, where one does.
func (h *host) publisher(ctx context.Context, taken *agent.AddressError) error {
	_, port, err := net.SplitHostPort(taken.Address)
	if err != nil {
		return taken
	}
	list, err := h.engine.ContainerList(ctx, client.ContainerListOptions{Filters: client.Filters{}.Add("publish", port)})
	if err != nil || len(list.Items) == 0 || len(list.Items[0].Names) == 0 {
		return taken
	}
	return fmt.Errorf("%w: container %q publishes that port", taken, strings.TrimPrefix(list.Items[0].Names[0], "/"))
}
