// SPDX-License-Identifier: MPL-2.0

package systemd

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/socket"
)

const (
	// firstDescriptor is the first of the descriptors that LISTEN_FDS counts.
	firstDescriptor = 3
	// mostDescriptors is how many a service manager may pass.
	mostDescriptors = 1 << 16
	// sendTimeout bounds the time of one message.
	sendTimeout = 5 * time.Second
)

// The environment variables that tell of a service manager; see sd_notify(3),
// sd_watchdog_enabled(3) and sd_listen_fds(3).
const (
	socketVariable   = "NOTIFY_SOCKET"
	watchdogVariable = "WATCHDOG_USEC"
	watchedVariable  = "WATCHDOG_PID"
	countVariable    = "LISTEN_FDS"
	namesVariable    = "LISTEN_FDNAMES"
	listenVariable   = "LISTEN_PID"
)

// Connect returns the service manager that has started this process, or the process with the
// Relay of this one; nil if none did. It takes what tells of it out of the environment. Call it
// once.
func Connect(log *slog.Logger) *Manager {
	address, relay := take(socketVariable), take(relayVariable)
	watchdog, watched := take(watchdogVariable), take(watchedVariable)
	count, names, listens := take(countVariable), take(namesVariable), take(listenVariable)
	isPassed := relay != "" || isThisProcess(listens)
	if address == "" && !isPassed {
		return nil
	}
	m := &Manager{log: log, received: &socket.HandedOver{}, kept: map[string]bool{}}
	m.notify = func(string, syscall.Conn) error { return nil }
	switch {
	case relay != "":
		var err error
		if m.notify, err = connectRelay(relay); err != nil {
			log.Error("the service manager cannot be told anything", "error", err)
		}
		m.isRelayed = true
	case address != "":
		m.notify = func(message string, file syscall.Conn) error { return notify(address, message, file) }
	}
	microseconds, err := strconv.ParseInt(watchdog, 10, 64)
	if err == nil && (relay != "" || watched == "" || isThisProcess(watched)) {
		m.watchdog = time.Duration(microseconds) * time.Microsecond
	}
	if isPassed {
		m.receive(count, strings.Split(names, ":"))
	}
	return m
}

// take returns an environment variable and takes it out of the environment.
func take(name string) string {
	value := os.Getenv(name)
	// An environment variable of this process can always be unset.
	_ = os.Unsetenv(name)
	return value
}

func isThisProcess(pid string) bool { return pid == strconv.Itoa(os.Getpid()) }

// receive takes the sockets that were passed to this process. It closes those that no client
// connects to.
func (m *Manager) receive(count string, names []string) {
	total, err := countPassed(count)
	if err != nil {
		m.log.Warn("the service manager passes an unknown number of sockets", "count", count)
		return
	}
	for i := range total {
		name := ""
		if i < len(names) {
			name = names[i]
		}
		listener, err := listenerOf(firstDescriptor + i)
		if err != nil {
			m.log.Warn("closed what the service manager has passed: it is no TCP listener", "name", name,
				"error", err)
		} else {
			m.received.Add(listener)
		}
		m.kept[name] = false
	}
}

// countPassed returns how many sockets were passed to this process.
func countPassed(count string) (int, error) {
	total, err := strconv.Atoi(count)
	if err == nil && (total < 0 || total > mostDescriptors) {
		err = os.ErrInvalid
	}
	if err != nil {
		return 0, err
	}
	return total, nil
}

// listenerOf returns the listener on a descriptor, which it closes.
func listenerOf(descriptor int) (*net.TCPListener, error) {
	unix.CloseOnExec(descriptor)
	file := os.NewFile(uintptr(descriptor), "received")
	defer file.Close()
	isListening, err := unix.GetsockoptInt(descriptor, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return nil, os.NewSyscallError("getsockopt", err)
	}
	if isListening == 0 {
		return nil, errors.New("it does not listen")
	}
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	tcp, ok := listener.(*net.TCPListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("it is a %T", listener), listener.Close())
	}
	return tcp, nil
}

// notify sends a message to the socket at address, and with it a file unless that is nil. An
// address that begins with @ is in the abstract namespace.
func notify(address, message string, file syscall.Conn) error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	return sendFile(raw, message, file)
}

// sendFile sends a message, and with it a file unless that is nil.
func sendFile(to syscall.RawConn, message string, file syscall.Conn) error {
	if file == nil {
		return send(to, message, nil)
	}
	attached, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var sendErr error
	err = attached.Control(func(descriptor uintptr) {
		sendErr = send(to, message, unix.UnixRights(int(descriptor)))
	})
	return errors.Join(err, sendErr)
}

// send does what WriteMsgUnix refuses to do on a connected datagram socket.
func send(to syscall.RawConn, message string, rights []byte) error {
	var sendErr error
	err := to.Write(func(descriptor uintptr) bool {
		sendErr = unix.Sendmsg(int(descriptor), []byte(message), rights, nil, unix.MSG_NOSIGNAL)
		return !errors.Is(sendErr, unix.EAGAIN)
	})
	return errors.Join(err, os.NewSyscallError("sendmsg", sendErr))
}
