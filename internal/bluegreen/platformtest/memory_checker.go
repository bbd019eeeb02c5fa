// SPDX-License-Identifier: MPL-2.0

package platformtest

import (
	"context"
	"fmt"
	"io"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// memoryChecker dials an instance and reads its state.
type memoryChecker struct{}

func (c memoryChecker) Await(ctx context.Context, target bluegreen.Target) bluegreen.Verdict {
	verdict := c.Probe(ctx, target)
	if !verdict.IsHealthy() {
		// The engine learns from this call whether the instance has exited.
		_ = target.Exited(ctx)
	}
	return verdict
}

func (memoryChecker) Probe(ctx context.Context, target bluegreen.Target) bluegreen.Verdict {
	conn, err := target.Dial(ctx)
	if err != nil {
		return bluegreen.Verdict{"state": err}
	}
	defer conn.Close()
	state, err := io.ReadAll(conn)
	if err == nil && string(state) != string(Healthy) {
		err = fmt.Errorf("it says %q", state)
	}
	return bluegreen.Verdict{"state": err}
}
