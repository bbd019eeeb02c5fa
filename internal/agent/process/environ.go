// SPDX-License-Identifier: MPL-2.0

package process

import (
	"maps"
	"os"
	"slices"
	"strconv"
)

// incarnationVariable names the run of a replica in its environment. It finds a
// process whose supervisor was killed before it could store the pid.
const incarnationVariable = "BLUEGREEN_INCARNATION"

// inheritedVariables are what a replica gets from the environment of this program.
var inheritedVariables = []string{"PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR"}

// Environ is the environment of a run of spec. Where it listens and which run it
// is override what the spec says.
func (spec Spec) Environ(port int, incarnation string) []string {
	variables := map[string]string{}
	for _, name := range inheritedVariables {
		if value, ok := os.LookupEnv(name); ok {
			variables[name] = value
		}
	}
	maps.Copy(variables, spec.Env)
	variables["PORT"], variables["HOST"] = strconv.Itoa(port), "127.0.0.1"
	variables[incarnationVariable] = incarnation
	list := make([]string, 0, len(variables))
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		list = append(list, name+"="+variables[name])
	}
	return list
}
