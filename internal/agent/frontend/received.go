// SPDX-License-Identifier: MPL-2.0

package frontend

import (
	"net"
	"slices"
	"sync"
)

// Received are listening sockets that another agent has handed over. A nil
// *Received has none. It is safe for concurrent use.
type Received struct {
	mu        sync.Mutex
	listeners []*net.TCPListener
}

// Add adds a socket.
func (r *Received) Add(listener *net.TCPListener) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listeners = append(r.listeners, listener)
}

// Listen listens on address, by the socket that was received if there is one.
func (r *Received) Listen(address string) (*net.TCPListener, error) {
	if r == nil {
		return listen(address)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.listeners, func(l *net.TCPListener) bool { return isListeningOn(l, address) })
	if i < 0 {
		return listen(address)
	}
	found := r.listeners[i]
	r.listeners = slices.Delete(r.listeners, i, i+1)
	return found, nil
}

// CloseUnused closes the sockets that Listen has not returned.
func (r *Received) CloseUnused() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, listener := range r.listeners {
		listener.Close()
	}
	r.listeners = nil
}
