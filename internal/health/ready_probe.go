// SPDX-License-Identifier: MPL-2.0

package health

import (
	"context"
	"errors"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Judge is a Target whose platform judges by itself whether the instance is ready.
type Judge interface {
	// Ready returns what keeps the instance from being ready, nil if it is. A platform that does not
	// judge the instance is an error.
	Ready(ctx context.Context) error
}

// The check has the name that the platform's own verdict has, so that it counts once.
func (*Ready) check() (check, error) {
	return check{name: "ready", subject: "readiness", probe: probeReadiness}, nil
}

func probeReadiness(ctx context.Context, target bluegreen.Target) error {
	judge, ok := target.(Judge)
	if !ok {
		return errors.New("the platform does not judge whether this instance is ready")
	}
	return judge.Ready(ctx)
}
