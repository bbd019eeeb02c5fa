// SPDX-License-Identifier: MPL-2.0

package dockerapi

import (
	"fmt"
	"strings"

	"github.com/moby/moby/api/types/container"
)

// Healthcheck is the name of the image's own check in a bluegreen.Verdict.
const Healthcheck = "HEALTHCHECK"

// HasHealthcheck reports whether the image of a container has a HEALTHCHECK.
func HasHealthcheck(state *container.State) bool {
	return state.Health != nil && state.Health.Status != container.NoHealthcheck
}

// HealthError returns the output of the last run of the HEALTHCHECK as an error.
func HealthError(health *container.Health) error {
	if len(health.Log) == 0 {
		return fmt.Errorf("%s: the HEALTHCHECK of the image has not run yet", health.Status)
	}
	last := health.Log[len(health.Log)-1]
	return fmt.Errorf("%s, exit status %d: %s", health.Status, last.ExitCode, strings.TrimSpace(last.Output))
}
