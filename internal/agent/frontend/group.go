// SPDX-License-Identifier: MPL-2.0

package frontend

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/socket"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// The names of the groups of a frontend.
const (
	liveName    = "live"
	previewName = "preview"
)

// listenerGroup is a set of listeners and the router that serves them all, so
// that they lead to the same environment at any moment.
type listenerGroup struct {
	name      string
	listeners []*net.TCPListener
	protocol  protocol.Protocol
	router    *router.Router
	entrance  *entrance
	// former is the group that this one has replaced, until its last client is gone.
	former atomic.Pointer[listenerGroup]
}

// switchTo sends the requests of all clients to pool, also of those that are
// still connected to a former group. The group may be nil.
func (g *listenerGroup) switchTo(pool *router.Pool) {
	for ; g != nil; g = g.former.Load() {
		g.router.Switch(pool)
	}
}

// configure gives the group its settings, and also the router of clients that are still
// connected to a former group. It closes no connection.
func (g *listenerGroup) configure(next store.Frontend, log *router.AccessLog) {
	g.entrance.policy.Store(newHeaderPolicy(next, g.name))
	g.entrance.share.setLimit(next.MaxConnections)
	for ; g != nil; g = g.former.Load() {
		g.router.Configure(router.Settings{
			ResponseTimeout: next.ResponseTimeout, MaxBody: next.MaxBody, TrustedProxies: next.TrustedProxies,
			AccessLog: log,
		})
	}
}

// addresses returns the addresses in listen. One without a port is replaced by the
// address that its listener got.
func (g *listenerGroup) addresses(listen []string) []string {
	addresses := slices.Clone(listen)
	for i, address := range listen {
		if store.HasOpenPort(address) {
			addresses[i] = g.listeners[i].Addr().String()
		}
	}
	return addresses
}

// canServe reports whether the group, which may be nil, has just these addresses.
func (g *listenerGroup) canServe(addresses []string, protocol protocol.Protocol) bool {
	return g != nil && g.protocol == protocol && slices.EqualFunc(g.listeners, addresses, socket.IsListeningOn)
}

// duplicate returns another listener on the socket that the group has at address, nil if it
// has none. The group may be nil. The socket stays open for a new router while the old
// one closes its own listener.
func (g *listenerGroup) duplicate(address string) (*net.TCPListener, error) {
	if g == nil {
		return nil, nil
	}
	for _, present := range g.listeners {
		if socket.IsListeningOn(present, address) {
			return socket.Duplicate(present)
		}
	}
	return nil, nil
}

// isListeningOn reports whether the group, which may be nil, has a socket for address.
func (g *listenerGroup) isListeningOn(address string) bool {
	return g != nil && slices.ContainsFunc(g.listeners, func(l *net.TCPListener) bool {
		return socket.IsListeningOn(l, address)
	})
}

// onSamePort returns the listeners of the group that have the port of address. They may
// listen on 127.0.0.1, for example, when address is 0.0.0.0. The group may be nil.
func (g *listenerGroup) onSamePort(address string) []*net.TCPListener {
	wanted, err := net.ResolveTCPAddr("tcp", address)
	if g == nil || err != nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(g.listeners), func(l *net.TCPListener) bool {
		have, ok := l.Addr().(*net.TCPAddr)
		return !ok || have.Port != wanted.Port
	})
}

// closeListeners closes the listeners of a group that was never served.
func (g *listenerGroup) closeListeners() {
	g.entrance.close()
	for _, listener := range g.listeners {
		listener.Close()
	}
}

// serve accepts clients on every listener of the group, until it is closed.
func (g *listenerGroup) serve(log *slog.Logger) {
	g.entrance.serve(g.listeners, func(listener net.Listener) {
		if err := g.router.Serve(listener); err != nil {
			log.Error("a router ended", "router", g.name, "address", listener.Addr().String(), "error", err)
		}
	})
}

// stopListening asks the clients of the group to connect again, and waits for none.
func (g *listenerGroup) stopListening() {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	_ = g.router.Retire(over)
}

// letClientsLeave stops listening and waits until the clients of the group have left, with
// the answer to their next request, or ctx ends.
func (g *listenerGroup) letClientsLeave(ctx context.Context) {
	// An error says that the time is over.
	_ = g.router.Retire(ctx)
	// Those that were not introduced yet were not waited for.
	g.entrance.awaitIntroductions(ctx)
	_ = g.router.Retire(ctx)
}

// retire ends the group once its clients have left, and closes the others after timeout.
func (g *listenerGroup) retire(timeout time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	g.letClientsLeave(ctx)
	g.shutdown(ctx)
}

// awaitRetirement is letClientsLeave, for the time of idle at most.
func (g *listenerGroup) awaitRetirement(ctx context.Context, idle time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, idle)
	defer cancel()
	g.letClientsLeave(ctx)
}

// shutdown stops listening, waits for what is in flight, and closes it when ctx ends.
func (g *listenerGroup) shutdown(ctx context.Context) {
	// A client that waits for admission holds up its listener, and that the router.
	defer context.AfterFunc(ctx, g.entrance.close)()
	g.stopListening()
	// Without this the router would end without a client that it does not know yet.
	g.entrance.awaitIntroductions(ctx)
	// An error says that the time is over; what was left has been closed then.
	_ = g.router.Shutdown(ctx)
	g.entrance.close()
}
