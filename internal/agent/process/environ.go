// SPDX-License-Identifier: MPL-2.0

package process

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

// incarnationVariable is the environment variable that holds the incarnation of a
// replica. It finds a process whose supervisor was killed before it could store the pid.
const incarnationVariable = "BLUEGREEN_INCARNATION"

// replicaVariables are the environment variables of the agent that its replicas get too: what
// nearly every program expects, and no secret of whoever started the agent.
var replicaVariables = []string{
	"PATH",                    // how a command finds others
	"HOME", "USER", "LOGNAME", // whose process it is
	"LANG", "LANGUAGE", // the language of messages; inherit adds LC_*
	"TZ",     // the time zone
	"TMPDIR", // where temporary files go; on macOS every user has a directory of their own
}

// agentVariables are the environment variables that an agent gets from the process that
// starts it, besides those of its replicas.
var agentVariables = []string{
	"XDG_RUNTIME_DIR", // the user's directory for what need not survive a restart of the machine
}

// AgentEnviron returns the environment variables of an agent that this process starts. The agent
// outlives this process by far, so it gets no token and no password, and no variable by which
// the runner of a CI job finds the processes of the job to end them.
func AgentEnviron() []string {
	return inherit(append(slices.Clone(replicaVariables), agentVariables...))
}

// inherit returns those variables of this process that have one of these names or tell of
// the locale.
func inherit(names []string) []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return !slices.Contains(names, name) && !strings.HasPrefix(name, "LC_")
	})
}

// Environ returns the environment variables of a run of spec. PORT, HOST and the
// incarnation override those of the spec.
func (spec Spec) Environ(port int, incarnation string) []string {
	variables := map[string]string{}
	for _, variable := range inherit(replicaVariables) {
		name, value, _ := strings.Cut(variable, "=")
		variables[name] = value
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
