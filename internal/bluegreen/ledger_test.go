// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"strings"
	"testing"
)

func TestRequiredIsRoundedUp(t *testing.T) {
	for _, c := range []struct{ n, percent, want int }{
		{1, 100, 1}, {3, 100, 3}, {3, 67, 3}, {3, 66, 2}, {3, 34, 2}, {3, 33, 1}, {3, 1, 1},
		{10, 50, 5}, {10, 51, 6}, {100, 1, 1}, {0, 100, 0},
	} {
		if got := requiredReplicas(c.n, c.percent); got != c.want {
			t.Errorf("%d %% of %d are %d, want %d", c.percent, c.n, got, c.want)
		}
	}
}

func TestEnvironmentNames(t *testing.T) {
	for _, env := range Environments() {
		if got, err := ParseEnvironment(env.String()); err != nil || got != env {
			t.Errorf("%s parses as %s, %v", env, got, err)
		}
		if env.Other() == env || env.Other().Other() != env {
			t.Errorf("the other of %s is %s", env, env.Other())
		}
	}
	if _, err := ParseEnvironment("Blue"); err == nil || !strings.Contains(err.Error(), `"blue" or "green"`) {
		t.Errorf("got %v, want an error that names both", err)
	}
}
