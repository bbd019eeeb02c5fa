// SPDX-License-Identifier: MPL-2.0

package process

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
)

// ports assigns ports to replicas, none to two at a time.
type ports struct {
	// standard is the range of a replica that is given none.
	standard PortRange

	mu sync.Mutex
	// used has the claim to each port, which is nil while another agent has it; see claimPort.
	used map[int]io.Closer
}

func newPorts() *ports { return &ports{standard: DefaultPorts, used: map[int]io.Closer{}} }

// boundPort is a port of 127.0.0.1 that nobody else can bind while the socket is open.
type boundPort struct {
	number int
	// socket is nil on systems on which it cannot be kept.
	socket *os.File
}

// take binds a port of the range, which is the standard one if it is zero. The search begins at
// random, so that a port is not used again soon.
func (p *ports) take(from PortRange) (boundPort, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	avoided := PortRange{}
	if from == (PortRange{}) {
		from = p.standard
		if ephemeral := EphemeralPorts(); from == DefaultPorts && !ephemeral.contains(from.First) {
			avoided = ephemeral
		}
	}
	begin := rand.IntN(from.size())
	for i := range from.size() {
		port := from.First + (begin+i)%from.size()
		if _, isUsed := p.used[port]; isUsed || avoided.contains(port) {
			continue
		}
		bound, err := p.tryTake(port)
		switch {
		case err == nil:
			return bound, nil
		case !isTaken(err):
			return boundPort{}, fmt.Errorf("binding port %d: %w", port, err)
		}
	}
	return boundPort{}, fmt.Errorf("no port from %d to %d is free", from.First, from.Last)
}

// tryTake claims and binds the port. Its caller holds mu.
func (p *ports) tryTake(port int) (boundPort, error) {
	claim, err := claimPort(port)
	if err != nil {
		return boundPort{}, err
	}
	socket, err := bindPort(port)
	if err != nil {
		claim.Close()
		return boundPort{}, err
	}
	p.used[port] = claim
	return boundPort{port, socket}, nil
}

// isTaken reports whether err says that another program has the port, or that it is kept from all.
func isTaken(err error) bool {
	return errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EACCES)
}

// adopt records that an adopted replica has port. The agent before may still have the claim; see
// claimAll.
func (p *ports) adopt(port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used[port] = claimOrNil(port)
}

// claimAll claims the ports of adopted replicas, which the agent before has given up.
func (p *ports) claimAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for port, claim := range p.used {
		if claim == nil {
			p.used[port] = claimOrNil(port)
		}
	}
}

// giveUpClaims leaves all ports to the next agent, which adopts the replicas.
func (p *ports) giveUpClaims() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for port, claim := range p.used {
		if claim != nil {
			claim.Close()
		}
		p.used[port] = nil
	}
}

// claimOrNil returns the claim to the port, nil if another agent has it. Whoever has bound the port
// keeps it anyway.
func claimOrNil(port int) io.Closer {
	claim, err := claimPort(port)
	if err != nil {
		return nil
	}
	return claim
}

func (p *ports) release(port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if claim := p.used[port]; claim != nil {
		claim.Close()
	}
	delete(p.used, port)
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
