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

// environ returns the environment variables of a run of spec as the user, nil for that of the agent.
// PORT, HOST and the incarnation override those of the spec.
func (spec Spec) environ(port int, incarnation string, user *User) []string {
	variables := map[string]string{}
	for _, variable := range inherit(replicaVariables) {
		name, value, _ := strings.Cut(variable, "=")
		variables[name] = value
	}
	if user != nil {
		user.describe(variables)
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

// describe sets the variables that say whose process it is. A user that the system does not list has
// neither a name nor a home directory.
func (u *User) describe(variables map[string]string) {
	for _, name := range []string{"HOME", "USER", "LOGNAME"} {
		delete(variables, name)
	}
	if u.name != "" {
		variables["USER"], variables["LOGNAME"] = u.name, u.name
	}
	if u.home != "" {
		variables["HOME"] = u.home
	}
}

// hasName reports whether variable, "NAME=value", has this name.
func hasName(variable, name string) bool { return strings.HasPrefix(variable, name+"=") }
