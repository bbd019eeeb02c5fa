// SPDX-License-Identifier: MPL-2.0

package local

import (
	"fmt"
	"strings"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// environmentOf is the environment that an instance's ID, "green-1", begins with.
func environmentOf(instance bluegreen.Instance) (bluegreen.Environment, error) {
	name, _, _ := strings.Cut(instance.ID, "-")
	env, err := bluegreen.ParseEnvironment(name)
	if err != nil {
		return "", fmt.Errorf("instance %q: %w", instance.ID, err)
	}
	return env, nil
}
