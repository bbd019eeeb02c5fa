// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"context"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/dockerapi"
)

// Exec implements bluegreen.Workloads. It runs the command in the instance's container.
// When ctx ends, Exec returns and the command runs on, because the engine cannot stop it.
func (p *Platform) Exec(ctx context.Context, instance bluegreen.Instance, command []string) (err error) {
	defer p.engine.explain(&err)
	_, err = dockerapi.Run(ctx, p.engine.Client, containerOf(instance.Ref()), command)
	return err
}
