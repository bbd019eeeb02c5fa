// SPDX-License-Identifier: MPL-2.0

package frontend

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/socket"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// Frontend is the listening side of one deployment. It is safe for concurrent use.
type Frontend struct {
	log     *slog.Logger
	metrics *router.Metrics
	// received are sockets to use before new ones.
	received *socket.HandedOver
	// keeper has the sockets while no agent runs.
	keeper Keeper
	// accessLogs are where requests can be logged.
	accessLogs map[store.AccessLog]*router.AccessLog

	// shares are those of the descriptors, by the name of the listener group. A group that
	// replaces another one has the same share.
	shares map[string]*share

	mu sync.Mutex
	// binding says where it listens, or where it will.
	binding store.Binding
	// live and preview are nil while it does not listen. Live can be open alone.
	live, preview *listenerGroup
	routes        routes
	// retiring are the groups that were replaced and have clients.
	retiring sync.WaitGroup
}

// FailureReport is router.FailureReport with the environment of the replica.
type FailureReport func(env bluegreen.Environment, b router.Backend, inARow int, cause error)

// New returns a frontend that does not listen yet. binding says where it will listen. It
// uses a socket in received if one has the address. Its clients share descriptors with those of
// other frontends. Failed requests are reported to
// report, which must not call the frontend.
func New(
	binding store.Binding, received *socket.HandedOver, descriptors *Descriptors, metrics *router.Metrics,
	report FailureReport, log *slog.Logger,
) *Frontend {
	return &Frontend{
		log: log, metrics: metrics, received: received, binding: binding, routes: newRoutes(metrics, report),
		shares: map[string]*share{liveName: descriptors.newShare(), previewName: descriptors.newShare()},
	}
}

// Keeper keeps the sockets that clients connect to while no agent runs, as a service manager
// does.
type Keeper interface {
	// Keep is called with each socket once clients are served on it.
	Keep(listener *net.TCPListener)
	// Forget is called before the socket at an address is closed for good.
	Forget(address net.Addr)
}

// KeepIn says who keeps the sockets. Call it before anything else.
func (f *Frontend) KeepIn(keeper Keeper) { f.keeper = keeper }

// DialWith makes requests go to replicas over connections that dial makes. Call it before anything
// else.
func (f *Frontend) DialWith(
	dial func(ctx context.Context, env bluegreen.Environment, b router.Backend) (net.Conn, error),
) {
	for _, env := range bluegreen.Environments() {
		for _, pool := range f.routes.pools(env) {
			pool.DialWith(func(ctx context.Context, b router.Backend) (net.Conn, error) { return dial(ctx, env, b) })
		}
	}
}

// LogTo says where requests can be logged. Call it before anything else.
func (f *Frontend) LogTo(logs map[store.AccessLog]*router.AccessLog) { f.accessLogs = logs }

// IsOpen reports whether it listens for clients of live.
func (f *Frontend) IsOpen() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.isOpen()
}

func (f *Frontend) isOpen() bool { return f.live != nil }

// IsComplete reports whether it listens for clients of live and of the preview.
func (f *Frontend) IsComplete() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.live != nil && f.preview != nil
}

// groups are the listener groups that are open. Its caller holds mu.
func (f *Frontend) groups() []*listenerGroup {
	return slices.DeleteFunc([]*listenerGroup{f.live, f.preview}, func(g *listenerGroup) bool { return g == nil })
}

// Listeners are the sockets that clients connect to.
func (f *Frontend) Listeners() (list []*net.TCPListener) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, group := range f.groups() {
		list = append(list, group.listeners...)
	}
	return list
}

// StopListening closes the listeners at once, and asks all clients to connect again. Who keeps the
// sockets goes on with it, for the next agent.
func (f *Frontend) StopListening() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, group := range f.groups() {
		group.stopListening()
	}
}

// Leave stops listening at once and waits for what is in flight, for the drain timeout at most.
// Clients whose connections are idle have the time of idle to connect again, which then reach
// another agent. Requests are still routed meanwhile.
func (f *Frontend) Leave(ctx context.Context, idle time.Duration) {
	f.mu.Lock()
	groups, timeout := f.groups(), f.binding.DrainTimeout
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, max(timeout, idle))
	defer cancel()
	var leaving sync.WaitGroup
	for _, group := range groups {
		leaving.Go(func() {
			group.awaitRetirement(ctx, idle)
			group.shutdown(ctx)
		})
	}
	leaving.Wait()
	// Those of listeners that were replaced before have their own time.
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		f.retiring.Wait()
	}()
	select {
	case <-gone:
	case <-ctx.Done():
	}
}

// Close stops listening for good and closes what is in flight.
func (f *Frontend) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closePools()
	over, cancel := context.WithCancel(context.Background())
	cancel()
	for _, group := range f.groups() {
		f.forget(group, nil)
		group.shutdown(over)
	}
	f.live, f.preview = nil, nil
}

// keep has the keeper, if any, keep the sockets of a group.
func (f *Frontend) keep(group *listenerGroup) {
	if f.keeper == nil {
		return
	}
	for _, listener := range group.listeners {
		f.keeper.Keep(listener)
	}
}

// forget has the keeper, if any, close the sockets of a group that next, which may be nil, does
// not have.
func (f *Frontend) forget(group, next *listenerGroup) {
	if f.keeper == nil {
		return
	}
	for _, listener := range group.listeners {
		if !next.isListeningOn(listener.Addr().String()) {
			f.keeper.Forget(listener.Addr())
		}
	}
}
