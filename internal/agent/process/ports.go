// SPDX-License-Identifier: MPL-2.0

package process

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Replicas get ports below the ephemeral range of every common system, so that
// no outgoing connection takes one between its choice and the replica's bind.
const (
	firstPort = 20000
	portCount = 10000
)

// ports assigns ports to replicas, none to two at a time.
type ports struct {
	mu   sync.Mutex
	used map[int]bool
}

func newPorts() *ports { return &ports{used: map[int]bool{}} }

// take returns a port that nothing listens on. It begins at random, so that two
// agents rarely try the same one and a port is not used again soon.
func (p *ports) take() (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	begin := rand.IntN(portCount)
	for i := range portCount {
		port := firstPort + (begin+i)%portCount
		if p.used[port] || !isFree(port) {
			continue
		}
		p.used[port] = true
		return port, nil
	}
	return 0, errors.New("no port from 20000 to 29999 is free")
}

// claim records that an adopted replica has port.
func (p *ports) claim(port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used[port] = true
}

func (p *ports) release(port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.used, port)
}

func isFree(port int) bool {
	listener, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return false
	}
	return listener.Close() == nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
