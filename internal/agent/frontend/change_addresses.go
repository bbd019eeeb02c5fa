// SPDX-License-Identifier: MPL-2.0

package frontend

import (
	"cmp"
	"net"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/socket"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// Change is a change of the addresses and the settings that is prepared: everything is bound, and
// clients notice nothing. It is either applied or discarded.
type Change struct {
	store.Binding
	// PreviewErr is why the preview cannot be opened, an *socket.AddressError.
	PreviewErr error

	live *listenerGroup
	// preview is nil with a PreviewErr.
	preview *listenerGroup
}

// Prepare binds what next needs and the frontend does not have yet, or returns an
// *socket.AddressError. No other change is prepared until this one is applied or discarded.
func (f *Frontend) Prepare(next store.Frontend) (Change, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change, err := f.prepareLive(next)
	if err != nil {
		return Change{}, err
	}
	err = f.preparePreview(&change, []string{f.binding.PreviewAddress})
	if err != nil && f.preview == nil && store.HasOpenPort(next.PreviewListen) {
		// Another program has the port that was chosen before. Any other will do.
		err = f.preparePreview(&change, nil)
	}
	if err != nil {
		f.discard(change)
		return Change{}, err
	}
	return change, nil
}

// PrepareAgain is Prepare for the addresses on which the deployment listened before a restart
// of the agent. If only that of the preview is taken, it returns a Change with a PreviewErr.
func (f *Frontend) PrepareAgain() (Change, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change, err := f.prepareLive(f.binding.Frontend)
	if err != nil {
		return Change{}, err
	}
	change.PreviewAddress = f.binding.PreviewAddress
	change.PreviewErr = f.preparePreview(&change, []string{f.binding.PreviewAddress})
	return change, nil
}

func (f *Frontend) prepareLive(next store.Frontend) (Change, error) {
	next.Protocol = cmp.Or(next.Protocol, protocol.HTTP)
	listen, former := liveListen(next), f.binding
	addresses := resolvePorts(listen, liveListen(former.Frontend), former.Addresses)
	live, err := f.group(f.live, liveName, addresses, next.Protocol)
	if err != nil {
		return Change{}, err
	}
	return Change{Binding: store.Binding{Frontend: next, Addresses: live.addresses(listen)}, live: live}, nil
}

// preparePreview adds the preview to the change. current is the address that was chosen for it
// before, if any.
func (f *Frontend) preparePreview(change *Change, current []string) error {
	listen := []string{change.PreviewListen}
	addresses := resolvePorts(listen, []string{f.binding.PreviewListen}, current)
	preview, err := f.group(f.preview, previewName, addresses, change.Protocol)
	if err != nil {
		return err
	}
	change.preview, change.PreviewAddress = preview, preview.addresses(listen)[0]
	return nil
}

// liveListen returns the addresses of the live environment, at least one.
func liveListen(f store.Frontend) []string {
	if len(f.Listen) == 0 {
		return []string{""}
	}
	return f.Listen
}

// group returns present if it fits, or a new group.
func (f *Frontend) group(
	present *listenerGroup, name string, addresses []string, protocol protocol.Protocol,
) (*listenerGroup, error) {
	if present.canServe(addresses, protocol) {
		return present, nil
	}
	entrance := newEntrance(f.shares[name], f.log.With("router", name))
	next := &listenerGroup{name: name, protocol: protocol, entrance: entrance}
	for _, address := range addresses {
		listener, err := present.duplicate(address)
		if err == nil && listener == nil {
			listener, err = f.bind(address, present.onSamePort(address))
		}
		if err != nil {
			next.closeListeners()
			err = socket.CauseOf(err)
			return nil, &socket.AddressError{Preview: name == previewName, Address: address, Err: err}
		}
		next.listeners = append(next.listeners, listener)
	}
	next.router = router.New(name, protocol, router.Options{
		Metrics: f.metrics, Logger: f.log,
		AdmitStream: f.shares[name].admitStream, IsCrowded: f.shares[name].isCrowded,
	})
	entrance.makeRoom = next.router.CloseSilent
	return next, nil
}

// bind listens on address. onSamePort are the listeners of the frontend with the same port.
func (f *Frontend) bind(address string, onSamePort []*net.TCPListener) (*net.TCPListener, error) {
	if len(onSamePort) > 0 {
		return socket.ListenReusingPort(onSamePort, address)
	}
	return f.received.Listen(address)
}

// Discard closes what a change has bound.
func (f *Frontend) Discard(c Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.discard(c)
}

func (f *Frontend) discard(c Change) {
	for _, group := range []*listenerGroup{c.live, c.preview} {
		if group != nil && group != f.live && group != f.preview {
			group.closeListeners()
		}
	}
}

// Apply makes the change and routes as the ledger says; it reports whether live is
// another environment than before. Requests that begin afterwards keep to the new settings,
// also on connections that stay. Clients of new listeners wait until the route is
// set. Clients of removed ones are asked to connect again.
func (f *Frontend) Apply(c Change, l bluegreen.Ledger, replicas map[bluegreen.Environment][]Replica) (switched bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.binding = c.Binding
	var opened []*listenerGroup
	for _, change := range []struct{ present, next **listenerGroup }{{&f.live, &c.live}, {&f.preview, &c.preview}} {
		former, next := *change.present, *change.next
		if former == next {
			continue
		}
		*change.present = next
		opened = append(opened, next)
		if former != nil {
			f.forget(former, next)
			former.stopListening()
			next.former.Store(former)
			f.retiring.Go(func() {
				former.retire(c.DrainTimeout)
				next.former.Store(nil)
			})
		}
	}
	for _, group := range f.groups() {
		group.configure(c.Frontend, f.accessLogs[c.AccessLog])
	}
	switched = f.route(l, replicas)
	for _, group := range opened {
		group.serve(f.log)
		f.keep(group)
	}
	return switched
}
