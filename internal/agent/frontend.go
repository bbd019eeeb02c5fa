// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// AddressError is an address that a deployment cannot listen on.
type AddressError struct {
	// Preview is true for Frontend.PreviewListen, false for Frontend.Listen.
	Preview bool   `json:"preview"`
	Address string `json:"address"`
	// Deployment has the address, if it is one of this state directory's.
	Deployment string `json:"deployment,omitempty"`
	Err        error  `json:"-"`
}

func (e *AddressError) Error() string {
	if e.Deployment != "" {
		return fmt.Sprintf("cannot listen on %s: deployment %q has that address", e.Address, e.Deployment)
	}
	return fmt.Sprintf("cannot listen on %s: %v", e.Address, e.Err)
}

func (e *AddressError) Unwrap() error { return e.Err }

// door is where clients come in: listeners and the router that serves them all,
// so that they lead to the same environment at any moment.
type door struct {
	name      string
	listeners []*net.TCPListener
	protocol  router.Protocol
	router    *router.Router
	// former is the door in whose place this one came, while clients leave by it.
	former atomic.Pointer[door]
}

// lead sends the requests of all clients to pool: also of those who have not left
// by a former door yet, for one environment alone is live.
func (d *door) lead(pool *router.Pool) {
	for ; d != nil; d = d.former.Load() {
		d.router.Switch(pool)
	}
}

// frontend is the listening side of a deployment.
type frontend struct {
	log     *slog.Logger
	metrics *router.Metrics
	live    *door
	preview *door
	// inherited are sockets to use before new ones.
	inherited *inheritance
}

// offer is a frontend's change that has been prepared and not been made.
type offer struct {
	store.Binding
	live, preview *door
}

// prepare binds what next needs and the frontend does not have yet. Nothing
// changes for clients until the offer is taken; it is either taken or dropped.
func (f *frontend) prepare(current store.Binding, next store.Frontend) (offer, error) {
	next.Protocol = cmp.Or(next.Protocol, router.HTTP)
	listen, previewListen := next.Listen, []string{next.PreviewListen}
	if len(listen) == 0 {
		listen = []string{""}
	}
	live, err := f.door(f.live, "live", wanted(listen, current.Addresses), next.Protocol)
	if err != nil {
		return offer{}, err
	}
	preview, err := f.door(f.preview, "preview", wanted(previewListen, []string{current.PreviewAddress}), next.Protocol)
	if err != nil {
		f.drop(offer{live: live})
		return offer{}, err
	}
	return offer{store.Binding{
		Frontend: next, Addresses: live.addresses(listen), PreviewAddress: preview.addresses(previewListen)[0],
	}, live, preview}, nil
}

// wanted are the addresses to listen on: those that a free port was chosen for
// before, where the user leaves the port open.
func wanted(listen, current []string) []string {
	addresses := slices.Clone(listen)
	for i, address := range listen {
		if leavesPortOpen(address) {
			addresses[i] = cmp.Or(at(current, i), address, "127.0.0.1:0")
		}
	}
	return addresses
}

// addresses keep what the user wrote, unless it leaves the port open.
func (d *door) addresses(listen []string) []string {
	addresses := slices.Clone(listen)
	for i, address := range listen {
		if leavesPortOpen(address) {
			addresses[i] = d.listeners[i].Addr().String()
		}
	}
	return addresses
}

// at is the address at i, "" where there is none.
func at(addresses []string, i int) string {
	if i < len(addresses) {
		return addresses[i]
	}
	return ""
}

func leavesPortOpen(listen string) bool {
	_, port, err := net.SplitHostPort(listen)
	return listen == "" || (err == nil && port == "0")
}

// door returns present if it fits, or a new one.
func (f *frontend) door(present *door, name string, addresses []string, protocol router.Protocol) (*door, error) {
	if present.fits(addresses, protocol) {
		return present, nil
	}
	next := &door{name: name, protocol: protocol}
	for _, address := range addresses {
		listener, err := present.share(address)
		if err == nil && listener == nil {
			listener, err = f.bind(address, present.neighbours(address))
		}
		if err != nil {
			next.drop()
			return nil, &AddressError{Preview: name == "preview", Address: address, Err: reason(err)}
		}
		next.listeners = append(next.listeners, listener)
	}
	next.router = router.New(name, protocol, router.Options{Metrics: f.metrics, Logger: f.log})
	return next, nil
}

func (f *frontend) bind(address string, neighbours []*net.TCPListener) (*net.TCPListener, error) {
	if len(neighbours) > 0 {
		return listenBeside(neighbours, address)
	}
	return f.inherited.listen(address)
}

// fits reports whether the door, which may be nil, is at just these addresses.
func (d *door) fits(addresses []string, protocol router.Protocol) bool {
	return d != nil && d.protocol == protocol && slices.EqualFunc(d.listeners, addresses, listensOn)
}

// share returns another listener on the socket that the door, which may be nil,
// has at address; nil where it has none. The socket stays open for a new router
// while the old one lets go of it.
func (d *door) share(address string) (*net.TCPListener, error) {
	if d == nil {
		return nil, nil
	}
	for _, present := range d.listeners {
		if listensOn(present, address) {
			return duplicate(present)
		}
	}
	return nil, nil
}

// neighbours are the listeners of the door, which may be nil, that have the port
// of address: at 127.0.0.1, maybe, where all addresses are wanted from now on.
func (d *door) neighbours(address string) []*net.TCPListener {
	wanted, err := net.ResolveTCPAddr("tcp", address)
	if d == nil || err != nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(d.listeners), func(l *net.TCPListener) bool {
		have, ok := l.Addr().(*net.TCPAddr)
		return !ok || have.Port != wanted.Port
	})
}

// drop closes the listeners of a door that nobody went through.
func (d *door) drop() {
	for _, listener := range d.listeners {
		listener.Close()
	}
}

// listensOn reports whether listener is what listen would return for address.
func listensOn(listener *net.TCPListener, address string) bool {
	wanted, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return false
	}
	have, ok := listener.Addr().(*net.TCPAddr)
	if !ok || have.Port != wanted.Port {
		return false
	}
	if len(wanted.IP) == 0 {
		return have.IP.IsUnspecified() && (have.IP.To4() == nil || !speaksIPv6())
	}
	return have.IP.Equal(wanted.IP)
}

// speaksIPv6 reports whether a socket for all addresses is one for IPv6 as well.
var speaksIPv6 = sync.OnceValue(func() bool {
	listener, err := net.Listen("tcp6", "[::1]:0")
	return err == nil && listener.Close() == nil
})

func duplicate(original *net.TCPListener) (*net.TCPListener, error) {
	file, err := original.File()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	copied, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	listener, ok := copied.(*net.TCPListener)
	if !ok {
		return nil, fmt.Errorf("a copy of a TCP listener is a %T", copied)
	}
	return listener, nil
}

// listen binds address. Without a host it is for IPv4 and IPv6; 0.0.0.0 is for
// IPv4 alone, where [net.Listen] would let IPv6 in as well.
func listen(address string) (*net.TCPListener, error) {
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, err
	}
	return net.ListenTCP(networkOf(resolved), resolved)
}

func networkOf(address *net.TCPAddr) string {
	if address.IP.To4() != nil {
		return "tcp4"
	}
	return "tcp"
}

// reason is what a person needs of a failed bind: "address already in use".
func reason(err error) error {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number
	}
	return err
}

// drop closes what an offer has bound.
func (f *frontend) drop(o offer) {
	for _, d := range []*door{o.live, o.preview} {
		if d != nil && d != f.live && d != f.preview {
			d.drop()
		}
	}
}

// take makes the change and returns the new doors, which are to be opened once
// they lead somewhere; their clients wait until then. Clients of the former ones
// are asked to come in again; see door.leave.
func (f *frontend) take(o offer) (opening []*door) {
	for _, change := range []struct{ have, next **door }{{&f.live, &o.live}, {&f.preview, &o.preview}} {
		former, next := *change.have, *change.next
		if former == next {
			continue
		}
		*change.have = next
		opening = append(opening, next)
		if former != nil {
			former.stopListening()
			next.former.Store(former)
			go func() {
				former.leave(o.DrainTimeout)
				next.former.Store(nil)
			}()
		}
	}
	return opening
}

// serve lets clients in by every listener of the door, until it is closed.
func (f *frontend) serve(d *door) {
	for _, listener := range d.listeners {
		go func() {
			if err := d.router.Serve(listener); err != nil {
				f.log.Error("a router ended", "router", d.name, "address", listener.Addr().String(), "error", err)
			}
		}()
	}
}

// stopListening asks the clients of the door to leave, and waits for none of them.
func (d *door) stopListening() {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	_ = d.router.Retire(over)
}

// leave ends the door when its clients have left, with the answer to their next
// request, and cuts them off when patience is over.
func (d *door) leave(patience time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	// Errors say that patience ran out; what was left has been closed then.
	_ = d.router.Retire(ctx)
	_ = d.router.Shutdown(ctx)
}

func (d *door) close(ctx context.Context, patience time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	// An error says that patience ran out, and what was left has been closed.
	_ = d.router.Shutdown(ctx)
}

// open reports whether clients are listened to.
func (f *frontend) open() bool { return f.live != nil }

// close stops listening at once and waits for what is in flight.
func (f *frontend) close(ctx context.Context, patience time.Duration) {
	if !f.open() {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.preview.close(ctx, patience)
	}()
	f.live.close(ctx, patience)
	<-done
	f.live, f.preview = nil, nil
}
