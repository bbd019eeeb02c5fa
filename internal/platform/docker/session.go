// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/containerd/errdefs"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent"
)

// Session is the connections to one host, its engine and its agent. Platforms
// that are open at the same time share them: a connection to the agent is a
// process that the engine has to start, which takes longer than what is asked.
type Session struct {
	connection Connection
	// agentName is the agent's container.
	agentName string
	// imaging and renewing are for one at a time: what several deployments need of
	// their agent is done once.
	imaging, renewing turn

	mu sync.Mutex
	// users counts the platforms that are open. While there are none nothing is
	// connected, and engine and client are nil.
	users  int
	engine *engine
	client *agent.Client
}

// NewSession returns the session of all platforms on a host that have the same
// agent; an agentName of "" is DefaultAgent. It connects to nothing.
func NewSession(connection Connection, agentName string) *Session {
	return &Session{
		connection: connection, agentName: cmp.Or(agentName, DefaultAgent),
		imaging: make(turn, 1), renewing: make(turn, 1),
	}
}

// turn is a mutex that can be waited for with a context.
type turn chan struct{}

// take does what has to be done by one at a time.
func (t turn) take(ctx context.Context, do func() error) error {
	select {
	case t <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-t }()
	return do()
}

// join returns the engine and the client of its agent for one more user.
func (s *Session) join() (*engine, *agent.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == 0 {
		engine, err := s.connection.open()
		if err != nil {
			return nil, nil, err
		}
		s.engine = engine
		s.client = agent.NewRemoteClient(func(ctx context.Context) (net.Conn, error) { return engine.dialAgent(ctx, s.agentName) })
	}
	s.users++
	return s.engine, s.client, nil
}

// leave is called once for each join. The last one hangs up.
func (s *Session) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users > 0 {
		return
	}
	s.client.Close()
	s.engine.Close()
	s.engine, s.client = nil, nil
}

// dialAgent connects to the agent in a container. Where none runs the error is
// agent.ErrNotRunning.
func (e *engine) dialAgent(ctx context.Context, containerName string) (net.Conn, error) {
	stream, err := e.openStream(ctx, containerName, []string{AgentProgram, "agent", "connect", "-state-dir", statePath, "-patience", connectPatience})
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return nil, fmt.Errorf("%w in container %s: %w", agent.ErrNotRunning, containerName, err)
	}
	if err != nil {
		return nil, err
	}
	return stream, nil
}
