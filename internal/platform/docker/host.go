// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/containerd/errdefs"
	"golang.org/x/sync/semaphore"

	agentclient "github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
)

// Host holds the connections to one Docker host: to its engine and to its agent.
// Platforms that are open at the same time share them. A connection to the agent is a
// process that the engine has to start, and starting it takes longer than most calls.
type Host struct {
	connection Connection
	// agentName is the name of the agent's container.
	agentName string
	// imageMutex and replaceMutex let one deployment at a time build the agent's image,
	// and replace the agent. The next deployment then finds it done.
	imageMutex, replaceMutex contextMutex
	// holders are the holders of locks. The agent cannot be replaced while a lock is held,
	// and who replaces it takes the place of all of them.
	holders *semaphore.Weighted

	mu sync.Mutex
	// users counts the open platforms. While it is 0 there are no connections, and
	// engine and client are nil.
	users  int
	engine *engine
	client *agentclient.Client
}

// NewHost returns the host that all platforms with the same connection and the same
// agent share. An agentName of "" is defaultAgent. NewHost does not connect.
func NewHost(connection Connection, agentName string) *Host {
	return &Host{
		connection: connection, agentName: cmp.Or(agentName, defaultAgent),
		imageMutex: make(contextMutex, 1), replaceMutex: make(contextMutex, 1),
		holders: semaphore.NewWeighted(maxHolders),
	}
}

// maxHolders is how many locks can be held on a host at the same time.
const maxHolders = 1 << 30

// contextMutex is a mutex. The end of a context ends the wait for it.
type contextMutex chan struct{}

// withLock calls do while it holds the mutex.
func (m contextMutex) withLock(ctx context.Context, do func() error) error {
	select {
	case m <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-m }()
	return do()
}

// addUser counts one more open platform. It returns the connections to the engine and to
// its agent, which the first platform creates.
func (h *Host) addUser() (*engine, *agentclient.Client, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.users == 0 {
		engine, err := h.connection.open()
		if err != nil {
			return nil, nil, err
		}
		h.engine = engine
		dial := func(ctx context.Context) (net.Conn, error) { return engine.dialAgent(ctx, h.agentName) }
		h.client = agentclient.NewRemote(dial)
	}
	h.users++
	return h.engine, h.client, nil
}

// removeUser is called once for each addUser. The last call closes the connections.
func (h *Host) removeUser() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.users--; h.users > 0 {
		return
	}
	h.client.Close()
	h.engine.Close()
	h.engine, h.client = nil, nil
}

// dialAgent connects to the agent in a container. The error is agentclient.ErrNotRunning if
// no agent runs there.
func (e *engine) dialAgent(ctx context.Context, containerName string) (net.Conn, error) {
	command := []string{AgentProgram, "agent", "connect", "-state-dir", statePath, "-patience", listenTimeout}
	stream, err := e.openStream(ctx, containerName, command)
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return nil, fmt.Errorf("%w in container %s: %w", agentclient.ErrNotRunning, containerName, err)
	}
	if err != nil {
		return nil, err
	}
	return stream, nil
}
