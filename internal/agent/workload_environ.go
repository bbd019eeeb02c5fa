// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"maps"
	"os"
	"slices"
	"strconv"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// inherited are the variables that a replica gets from the agent.
var inherited = []string{"PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR"}

// environ is the environment of a replica that listens on port. What the agent
// says about the replica goes over what the release says.
func environ(w *store.Workload, env bluegreen.Environment, port int, incarnation string) []string {
	variables := map[string]string{}
	for _, name := range inherited {
		if value, ok := os.LookupEnv(name); ok {
			variables[name] = value
		}
	}
	maps.Copy(variables, w.Env)
	maps.Copy(variables, map[string]string{
		"PORT":                  strconv.Itoa(port),
		"HOST":                  "127.0.0.1",
		"BLUEGREEN_ENVIRONMENT": string(env),
		"BLUEGREEN_VERSION":     w.Version,
		incarnationVariable:     incarnation,
	})
	list := make([]string, 0, len(variables))
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		list = append(list, name+"="+variables[name])
	}
	return list
}
