// SPDX-License-Identifier: MPL-2.0

package unit

import (
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Name is what systemd calls the unit.
const Name = "bluegreen.service"

// What is in the unit of the packages.
const (
	// Program is the program that it runs.
	Program = "/usr/bin/terraform-provider-bluegreen"
	// User is the user that it runs the program as.
	User = "bluegreen"
	// StateDir is the state directory of its agent.
	StateDir = "/var/lib/bluegreen"
)

//go:embed bluegreen.service
var packaged string

// plainPath is a path that means itself in a unit: systemd gives a meaning to blanks, quotes,
// "%", "$" and more.
var plainPath = regexp.MustCompile(`^/[A-Za-z0-9._/+@~-]+$`)

// userName is a name of a user that means itself in a unit.
var userName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)

var errPath = errors.New("a unit cannot contain this path; copy the program to one of letters and digits, " +
	"such as /usr/local/bin/terraform-provider-bluegreen, and run that")

// System returns the unit of an agent for the whole machine, which runs program as user.
func System(program, user string) (string, error) {
	if !userName.MatchString(user) {
		return "", fmt.Errorf("%q is not the name of a user", user)
	}
	own, err := withProgram(packaged, program)
	if err != nil || user == User {
		return own, err
	}
	own = strings.Replace(own, "User="+User+"\n", "User="+user+"\n", 1)
	return without(own, "Group"), nil
}

// ForUser returns the unit of an agent of one user, with the state directory that the agent and
// the provider use by default. The user's systemd can neither change the user, nor hide parts of
// the file system, nor take capabilities away.
func ForUser(program string) (string, error) {
	own, err := withProgram(packaged, program)
	if err != nil {
		return "", err
	}
	own = strings.Replace(own, " -state-dir "+StateDir, "", 1)
	own = strings.Replace(own, "systemctl edit", "systemctl --user edit", 1)
	own = strings.Replace(own, "WantedBy=multi-user.target", "WantedBy=default.target", 1)
	return without(own, "User", "Group", "StateDirectory", "StateDirectoryMode", "Wants", "After", "Documentation",
		"ProtectSystem", "ProtectHome", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules",
		"ProtectKernelTunables", "CapabilityBoundingSet"), nil
}

func withProgram(unit, program string) (string, error) {
	if !plainPath.MatchString(program) {
		return "", fmt.Errorf("%q: %w", program, errPath)
	}
	return strings.Replace(unit, "ExecStart="+Program+" ", "ExecStart="+program+" ", 1), nil
}

// without takes settings out of a unit, and the comments above each.
func without(unit string, settings ...string) string {
	var kept, comments []string
	for line := range strings.Lines(unit) {
		name, _, isSetting := strings.Cut(line, "=")
		switch {
		case strings.HasPrefix(line, "#"):
			comments = append(comments, line)
			continue
		case !isSetting || !slices.Contains(settings, name):
			kept = append(append(kept, comments...), line)
		}
		comments = nil
	}
	return strings.Join(append(kept, comments...), "")
}
