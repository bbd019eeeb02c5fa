// SPDX-License-Identifier: MPL-2.0

package process

import (
	"context"
	"io"
	"os"
	"os/exec"
)

// program is what a replica runs and how.
type program struct {
	argv, environ []string
	// dir is its working directory.
	dir string
	// output is its stdout and stderr.
	output io.Writer
	limits Limits
	// group is the control group of the run that the program belongs to. The program joins it first.
	group controlGroup
	// port is bound until the program begins, or passed to it; nil for none.
	port *os.File
}

// newCommand returns a command with the directory and the output of the program. When ctx ends,
// it is killed with its whole group.
func (p program) newCommand(ctx context.Context, name string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir, command.Stdout, command.Stderr = p.dir, p.output, p.output
	command.SysProcAttr = NewSession()
	command.Cancel = func() error {
		signalGroup(command.Process.Pid, killSignal)
		return nil
	}
	command.WaitDelay = execGrace
	return command
}

// Limits are what a replica may do and use. The zero value changes nothing.
type Limits struct {
	// User is who runs it, nil for the user of the agent.
	User *User `json:"user,omitempty"`
	// Umask are the permissions that its new files don't get, nil for those of the agent.
	Umask *int `json:"umask,omitempty"`
	// NoNewPrivileges keeps it and what it starts from getting rights by a set-user-ID program
	// or by the capabilities of a file.
	NoNewPrivileges bool `json:"no_new_privileges,omitempty"`
	// Memory is how many bytes it and what it starts may use, and CPUs how many processors; 0
	// is no limit.
	Memory int64   `json:"memory,omitempty"`
	CPUs   float64 `json:"cpus,omitempty"`
	// SocketActivation passes the program a socket that listens on its port.
	SocketActivation bool `json:"socket_activation,omitempty"`
}

// View is where a replica of another user than the agent's sees its working directory. Only root can
// make it, and nothing else is in the path: a directory above it could be closed to that user.
const View = "/run/bluegreen-replica"

// User is a user of the system with the groups that it is in.
type User struct {
	UID    int   `json:"uid"`
	GID    int   `json:"gid"`
	Groups []int `json:"groups,omitempty"`
	// name and home are empty for a user that the system does not list.
	name, home string
}
