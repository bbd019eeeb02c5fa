// SPDX-License-Identifier: MPL-2.0

package systemd

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// relayVariable tells an agent the descriptor of the relay.
const relayVariable = "BLUEGREEN_RELAY"

const (
	// longestMessage is the longest that systemd reads of a message.
	longestMessage = 4096
	// mostFiles is how many files come with a message.
	mostFiles = 1
)

// Relay passes on what an agent says to the service manager that has started this process. The
// service manager hears only the process that it has started, and starts the next one when that
// one has ended. An agent takes longer to end, because it finishes what is in flight.
type Relay struct {
	address string
	// conn is the end of this process, and far that of the agent.
	conn *net.UnixConn
	far  *os.File
}

// IsRelayed reports whether this agent has been started with a Relay.
func IsRelayed() bool { return os.Getenv(relayVariable) != "" }

// NewRelay returns a relay to the service manager that has started this process. It is an error
// if none has.
func NewRelay() (*Relay, error) {
	address := os.Getenv(socketVariable)
	if address == "" {
		return nil, errors.New("-service is for a unit of systemd with Type=notify, which sets " + socketVariable +
			"; start the agent without it elsewhere")
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	near, far := os.NewFile(uintptr(pair[0]), "relay"), os.NewFile(uintptr(pair[1]), "relay")
	defer near.Close()
	conn, err := net.FileConn(near)
	if err != nil {
		far.Close()
		return nil, err
	}
	packets, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("a pair of sockets is a %T", conn), conn.Close(), far.Close())
	}
	return &Relay{address: address, conn: packets, far: far}, nil
}

// Start starts an agent with the relay, and with the sockets that were passed to this process.
// Here all of them are closed.
func (r *Relay) Start(agent *exec.Cmd) error {
	environ := slices.DeleteFunc(agent.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains([]string{socketVariable, listenVariable, watchedVariable}, name)
	})
	passed := 0
	if isThisProcess(os.Getenv(listenVariable)) {
		passed, _ = countPassed(os.Getenv(countVariable))
	}
	for i := range passed {
		agent.ExtraFiles = append(agent.ExtraFiles, os.NewFile(uintptr(firstDescriptor+i), "passed"))
	}
	agent.ExtraFiles = append(agent.ExtraFiles, r.far)
	agent.Env = append(environ,
		countVariable+"="+strconv.Itoa(passed), relayVariable+"="+strconv.Itoa(firstDescriptor+passed))
	err := agent.Start()
	for _, file := range agent.ExtraFiles {
		err = errors.Join(err, file.Close())
	}
	return err
}

// Run passes messages on until the agent has let go of everything, or has ended. It reports
// which of both.
func (r *Relay) Run(log *slog.Logger) (hasLeft bool) {
	defer r.conn.Close()
	content, rights := make([]byte, longestMessage), make([]byte, unix.CmsgSpace(mostFiles*4))
	for {
		n, size, _, _, err := r.conn.ReadMsgUnix(content, rights)
		if err != nil {
			return false
		}
		message := string(content[:n])
		if message == leftMessage {
			return true
		}
		if err := r.pass(message, rights[:size]); err != nil {
			log.Warn("the service manager cannot be told", "message", message, "error", err)
		}
	}
}

// pass passes on a message, and the file that comes with it if there is one.
func (r *Relay) pass(message string, rights []byte) error {
	if len(rights) == 0 {
		return notify(r.address, message, nil)
	}
	control, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return os.NewSyscallError("recvmsg", err)
	}
	if len(control) != 1 {
		return fmt.Errorf("it comes with %d kinds of rights", len(control))
	}
	descriptors, err := unix.ParseUnixRights(&control[0])
	if err != nil {
		return os.NewSyscallError("recvmsg", err)
	}
	// There is room for one only.
	file := os.NewFile(uintptr(descriptors[0]), "kept")
	defer file.Close()
	return notify(r.address, message, file)
}

// connectRelay returns what sends a message to the relay on the descriptor that is named.
func connectRelay(descriptor string) (notify func(message string, file syscall.Conn) error, err error) {
	number, err := strconv.Atoi(descriptor)
	if err != nil || number < firstDescriptor {
		return nil, fmt.Errorf("%s: %w", relayVariable, os.ErrInvalid)
	}
	unix.CloseOnExec(number)
	file := os.NewFile(uintptr(number), "relay")
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	return func(message string, file syscall.Conn) error { return sendFile(raw, message, file) }, nil
}
