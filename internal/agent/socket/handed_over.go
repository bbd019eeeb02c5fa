// SPDX-License-Identifier: MPL-2.0

package socket

import (
	"net"
	"slices"
	"sync"
)

// HandedOver are listening sockets that another agent has handed over. A nil
// *HandedOver has none. It is safe for concurrent use.
type HandedOver struct {
	mu        sync.Mutex
	listeners []*net.TCPListener
}

// Add adds a socket.
func (h *HandedOver) Add(listener *net.TCPListener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.listeners = append(h.listeners, listener)
}

// Listen listens on address, by the socket that was received if there is one.
func (h *HandedOver) Listen(address string) (*net.TCPListener, error) {
	if h == nil {
		return Listen(address)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.IndexFunc(h.listeners, func(l *net.TCPListener) bool { return IsListeningOn(l, address) })
	if i < 0 {
		return Listen(address)
	}
	found := h.listeners[i]
	h.listeners = slices.Delete(h.listeners, i, i+1)
	return found, nil
}

// CloseUnused closes the sockets that Listen has not returned.
func (h *HandedOver) CloseUnused() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, listener := range h.listeners {
		listener.Close()
	}
	h.listeners = nil
}
