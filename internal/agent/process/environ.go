// SPDX-License-Identifier: MPL-2.0

package process

import (
	"maps"
	"os"
	"slices"
	"strconv"
)

// incarnationVariable is the environment variable that holds the incarnation of a
// replica. It finds a process whose supervisor was killed before it could store the pid.
const incarnationVariable = "BLUEGREEN_INCARNATION"

// inheritedVariables are the environment variables of this program that a replica gets too.
var inheritedVariables = []string{"PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR"}

// Environ returns the environment variables of a run of spec. PORT, HOST and the
// incarnation override those of the spec.
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
