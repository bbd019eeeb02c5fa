// SPDX-License-Identifier: MPL-2.0

package frontend

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"sync"

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

// Retire asks all clients to connect again, which then reach another agent, and
// waits until they have gone or ctx ends.
func (f *Frontend) Retire(ctx context.Context) {
	f.mu.Lock()
	groups := f.groups()
	f.mu.Unlock()
	var retiring sync.WaitGroup
	for _, group := range groups {
		retiring.Go(func() { group.letClientsLeave(ctx) })
	}
	retiring.Wait()
}

// Shutdown stops listening at once and waits for what is in flight, for the drain
// timeout at most.
func (f *Frontend) Shutdown(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var closing sync.WaitGroup
	for _, group := range f.groups() {
		closing.Go(func() { group.shutdown(ctx, f.binding.DrainTimeout) })
	}
	closing.Wait()
	f.live, f.preview = nil, nil
}

// Close stops listening and closes what is in flight.
func (f *Frontend) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closePools()
	for _, group := range f.groups() {
		group.shutdown(context.Background(), 0)
	}
	f.live, f.preview = nil, nil
}
