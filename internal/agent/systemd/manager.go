// SPDX-License-Identifier: MPL-2.0

package systemd

import (
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/socket"
)

// Manager is the service manager that has started this process. A nil *Manager is none, and
// its methods do nothing. It is safe for concurrent use.
type Manager struct {
	log *slog.Logger
	// notify sends a message, and with it a file unless that is nil.
	notify func(message string, file syscall.Conn) error
	// isRelayed is set if a Relay passes on what is said here.
	isRelayed bool
	// watchdog is how often the service manager has to hear of this process, 0 for never.
	watchdog time.Duration
	received *socket.HandedOver

	mu sync.Mutex
	// kept are the names of the sockets that the service manager has. The value is false
	// for one that it had from the start and that nobody has asked to keep yet.
	kept map[string]bool
	// hasLeft is set once nothing is to be said any more.
	hasLeft atomic.Bool
}

// leftMessage tells the relay that the agent has let go of everything. It is not for the service
// manager.
const leftMessage = "BLUEGREEN_LEFT=1"

// Received are the sockets that the service manager kept for this process, nil for none.
func (m *Manager) Received() *socket.HandedOver {
	if m == nil {
		return nil
	}
	return m.received
}

// Ready says that clients are served, and describes the state in a line.
func (m *Manager) Ready(status string) { m.send("READY=1\nSTATUS="+status, nil) }

// Status describes the state of this process in a line, for people.
func (m *Manager) Status(status string) { m.send("STATUS="+status, nil) }

// Stopping says that this process is about to end.
func (m *Manager) Stopping(status string) { m.send("STOPPING=1\nSTATUS="+status, nil) }

// Leave is called once this process has let go of everything and only finishes what is in flight.
// Nothing is said after it, because the service manager may start the next agent now: with a
// Relay at once, and otherwise when this process has ended.
func (m *Manager) Leave() {
	if m == nil || m.hasLeft.Swap(true) || !m.isRelayed {
		return
	}
	if err := m.notify(leftMessage, nil); err != nil {
		m.log.Warn("the next agent is started when this one has ended", "error", err)
	}
}

// StartsNextAtOnce reports whether the service manager starts the next agent while this process
// finishes what is in flight.
func (m *Manager) StartsNextAtOnce() bool { return m != nil && m.isRelayed }

// KeepAlive tells the service manager that this process is alive, as often as it wants to hear
// that, until stop is called. It calls isAlive each time before: a process in which that does
// not return hangs, and says nothing.
func (m *Manager) KeepAlive(isAlive func()) (stop func()) {
	if m == nil || m.watchdog <= 0 {
		return func() {}
	}
	over := make(chan struct{})
	go func() {
		// Half of the time is what sd_watchdog_enabled(3) recommends.
		ticker := time.NewTicker(m.watchdog / 2)
		defer ticker.Stop()
		for {
			isAlive()
			m.send("WATCHDOG=1", nil)
			select {
			case <-over:
				return
			case <-ticker.C:
			}
		}
	}()
	return func() { close(over) }
}

// Keep gives the service manager a socket to keep while this process does not run. It does
// nothing if the service manager has the socket.
func (m *Manager) Keep(listener *net.TCPListener) {
	if m == nil {
		return
	}
	name := nameOf(listener.Addr())
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, hasIt := m.kept[name]; hasIt || m.send("FDSTORE=1\nFDNAME="+name, listener) {
		m.kept[name] = true
	}
}

// Forget has the service manager close its copy of the socket at an address. Call it before the
// socket is closed here, so that whoever listens at the address next can be kept.
func (m *Manager) Forget(address net.Addr) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(nameOf(address))
}

// ForgetUnused closes the received sockets that nobody has asked to keep, here and in the
// service manager.
func (m *Manager) ForgetUnused() {
	if m == nil {
		return
	}
	m.received.CloseUnused()
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, isUsed := range m.kept {
		if !isUsed {
			m.forget(name)
		}
	}
}

// forget is called with mu held.
func (m *Manager) forget(name string) {
	if _, hasIt := m.kept[name]; hasIt {
		delete(m.kept, name)
		m.send("FDSTOREREMOVE=1\nFDNAME="+name, nil)
	}
}

// send sends a message, and reports whether it has. One that is lost must not keep the agent from
// serving.
func (m *Manager) send(message string, file syscall.Conn) bool {
	if m == nil || m.hasLeft.Load() {
		return false
	}
	err := m.notify(message, file)
	if err != nil {
		m.log.Warn("the service manager cannot be told", "message", message, "error", err)
	}
	return err == nil
}

// nameOf returns the name of the socket at an address, such as tcp-127.0.0.1_8080. A colon is
// not allowed in it.
func nameOf(address net.Addr) string {
	return address.Network() + "-" + strings.ReplaceAll(address.String(), ":", "_")
}
