// SPDX-License-Identifier: MPL-2.0

package process

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A replica is started by the launcher: this program with the arguments "agent exec". It applies
// to itself what only a process can do to itself, such as its umask, and then becomes the
// replica's program, so that the replica has its pid.

// LauncherArgument is the argument of the agent that makes it the launcher.
const LauncherArgument = "exec"

// The descriptors of the launcher.
const (
	// instructionsDescriptor is the pipe that the launcher reads its instructions from.
	instructionsDescriptor = 3
	// failureDescriptor is the pipe that the launcher writes to why it has failed. It is closed
	// when the launcher has become the program.
	failureDescriptor = 4
	// portDescriptor is the socket that is bound to the port of the replica, if there is one. It
	// is closed in the moment in which the program begins, unless the program gets it.
	portDescriptor = 5
)

// launcherExit is the exit status of a launcher that has failed.
const launcherExit = 127

// supportsLimits is true: the launcher applies them.
const supportsLimits = true

// self is this program. Unlike its path it can be started after it was replaced or removed, as
// the working directory of a CI job is with the provider in it.
const self = "/proc/self/exe"

// instructions are what the launcher reads. They hold the values of environment variables, which
// no list of processes may show.
type instructions struct {
	// Argv and Environ are lists with a zero byte between two. As text they would lose what is
	// not UTF-8.
	Argv    []byte       `json:"argv"`
	Environ []byte       `json:"environ"`
	Limits  Limits       `json:"limits"`
	Group   controlGroup `json:"group,omitempty"`
	// PassesPort makes portDescriptor the first descriptor of the program after stderr.
	PassesPort bool `json:"passes_port,omitempty"`
}

// zero is between the members of a list.
const zero = "\x00"

// start starts the program, and returns once it runs in the place of the launcher.
func (p program) start(ctx context.Context) (_ *exec.Cmd, err error) {
	text, err := json.Marshal(instructions{
		Argv: []byte(strings.Join(p.argv, zero)), Environ: []byte(strings.Join(p.environ, zero)), Limits: p.limits,
		Group:      p.group,
		PassesPort: p.port != nil && p.limits.SocketActivation,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the instructions: %w", err)
	}
	toRead, toWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer toWrite.Close()
	failure, failureWriter, err := os.Pipe()
	if err != nil {
		toRead.Close()
		return nil, err
	}
	defer failure.Close()
	command := p.newCommand(ctx, self, "agent", LauncherArgument)
	command.Env = launcherEnviron(p.environ)
	command.ExtraFiles = []*os.File{toRead, failureWriter}
	if p.port != nil {
		command.ExtraFiles = append(command.ExtraFiles, p.port)
	}
	err = command.Start()
	toRead.Close()
	failureWriter.Close()
	if err != nil {
		return nil, err
	}
	if p.port != nil && !p.limits.SocketActivation {
		// Only the launcher has it now, until it begins the program.
		p.port.Close()
	}
	// If the launcher ends before it has read all, it says why.
	_, writeErr := toWrite.Write(text)
	toWrite.Close()
	reason, err := io.ReadAll(failure)
	switch {
	case err != nil:
	case len(reason) > 0:
		err = errors.New(string(reason))
	default:
		err = writeErr
	}
	if err != nil {
		// It may hang, and then must not become the program later.
		signalGroup(command.Process.Pid, killSignal)
		_ = command.Wait()
		return nil, err
	}
	return command, nil
}

// launcherEnviron returns the variables of the launcher itself: those of this process, and the
// incarnation, by which the launcher is found too, and from which it has its mark.
func launcherEnviron(environ []string) []string {
	list := AgentEnviron()
	for _, variable := range environ {
		if hasName(variable, incarnationVariable) {
			list = append(list, variable)
		}
	}
	return list
}

// Launch is the launcher. It becomes the program that its instructions name. It returns only if
// that fails, with the exit status.
func Launch() int {
	failure := os.NewFile(failureDescriptor, "failure")
	// Also those that something else was given by mistake must not get into the program.
	KeepDescriptors()
	err := launch(os.NewFile(instructionsDescriptor, "instructions"))
	// Nobody reads it if the agent has ended.
	_, _ = fmt.Fprint(failure, err)
	return launcherExit
}

func launch(from *os.File) error {
	var i instructions
	if err := json.NewDecoder(from).Decode(&i); err != nil {
		return fmt.Errorf("reading the instructions of the launcher: %w", err)
	}
	// Some of what is applied holds for a thread only.
	runtime.LockOSThread()
	// A group that sets no limit can be done without.
	if err := i.Group.join(); err != nil && i.Limits.needsGroup() {
		return err
	}
	setMark(os.Getenv(incarnationVariable))
	if err := i.Limits.apply(); err != nil {
		return err
	}
	argv, environ := strings.Split(string(i.Argv), zero), strings.Split(string(i.Environ), zero)
	if i.PassesPort {
		from.Close()
		if err := unix.Dup3(portDescriptor, passedDescriptor, 0); err != nil {
			return fmt.Errorf("socket_activation: %w", err)
		}
		environ = override(environ, activationEnviron())
	}
	if err := syscall.Exec(argv[0], argv, environ); err != nil {
		return &os.PathError{Op: "exec", Path: argv[0], Err: err}
	}
	return nil
}

// passedDescriptor is where a program expects the socket that is passed to it; see
// sd_listen_fds(3).
const passedDescriptor = 3

// activationEnviron returns the variables that tell a program of the socket that is passed to it.
func activationEnviron() []string {
	return []string{
		"LISTEN_FDS=1", fmt.Sprintf("LISTEN_PID=%d", os.Getpid()), "LISTEN_FDNAMES=http",
		fmt.Sprintf("BLUEGREEN_LISTEN_FD=%d", passedDescriptor),
	}
}

// override returns the variables of environ that others does not name, and then others. A program
// that is given a variable twice may take either.
func override(environ, others []string) []string {
	environ = slices.DeleteFunc(environ, func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.ContainsFunc(others, func(other string) bool { return hasName(other, name) })
	})
	return append(environ, others...)
}

// check returns a *SettingError unless this process has the rights to apply the limits.
func (l Limits) check() error {
	if l.needsGroup() {
		group, err := makeControlGroup(rand.Text(), l)
		if err != nil {
			setting := "memory"
			if l.Memory == 0 {
				setting = "cpus"
			}
			return &SettingError{setting, fmt.Errorf("the agent cannot limit it%s: %w", advice(), err)}
		}
		_ = group.remove()
	}
	if l.User != nil && os.Geteuid() != 0 {
		return &SettingError{"user", fmt.Errorf("the agent runs as user %d, and only root can start replicas as "+
			"another user", os.Geteuid())}
	}
	if l.User != nil && !canMount() {
		return &SettingError{"user", errors.New("the agent may not mount, which it needs to show replicas of another " +
			"user their directory; it lacks the capability CAP_SYS_ADMIN, as root in most containers does")}
	}
	return nil
}

// advice says how an agent can limit replicas.
func advice() string {
	if os.Geteuid() == 0 {
		return ""
	}
	return ", but one that runs as root can"
}

// hasNoNewPrivileges reports whether this process and what it starts can get no new privileges.
func hasNoNewPrivileges() bool {
	set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	return err == nil && set == 1
}

// canMount reports whether this process has CAP_SYS_ADMIN.
func canMount() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	err := unix.Capget(&header, &data[0])
	return err == nil && data[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}

// apply makes the limits those of this thread and of the program that it becomes.
func (l Limits) apply() error {
	raiseOOMScore()
	if l.User != nil {
		if err := enterView(); err != nil {
			return err
		}
		if err := l.User.become(); err != nil {
			return err
		}
	}
	if l.Umask != nil {
		syscall.Umask(*l.Umask)
	}
	if l.NoNewPrivileges {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("no_new_privileges: %w", err)
		}
	}
	return nil
}

// enterView shows this process its working directory at View. Nobody but the agent's user can
// reach it where it is, and no other process sees it at View.
func enterView() error {
	err := unix.Unshare(unix.CLONE_NEWNS)
	if err == nil {
		// What the system mounts later is seen, and what is mounted here stays here.
		err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, "")
	}
	if err == nil {
		err = makeView()
	}
	if err == nil {
		err = unix.Mount(".", View, "", unix.MS_BIND, "")
	}
	if err == nil {
		err = os.Chdir(View)
	}
	if err != nil {
		return fmt.Errorf("showing the directory of the replica at %s: %w", View, err)
	}
	return nil
}

// makeView makes the directory View, which every user can enter whatever the umask of the agent is.
func makeView() error {
	if err := os.MkdirAll(View, 0o755); err != nil {
		return err
	}
	return os.Chmod(View, 0o755)
}

// become makes this process one of the user.
func (u *User) become() error {
	if err := syscall.Setgroups(u.Groups); err != nil {
		return fmt.Errorf("setting the groups of user %d: %w", u.UID, err)
	}
	if err := syscall.Setgid(u.GID); err != nil {
		return fmt.Errorf("becoming group %d: %w", u.GID, err)
	}
	if err := syscall.Setuid(u.UID); err != nil {
		return fmt.Errorf("becoming user %d: %w", u.UID, err)
	}
	return nil
}
