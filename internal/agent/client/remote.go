// SPDX-License-Identifier: MPL-2.0

package client

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// NewRemote returns a client of an agent on another host. dial connects to that
// agent's socket with `agent connect`, and returns ErrNotRunning if no agent runs.
//
// Everything that the client does shares one connection, locks and dialled replicas
// too. The first call opens it. If it breaks, the next call opens another.
func NewRemote(dial func(context.Context) (net.Conn, error)) *Client {
	w := newTransport(dial)
	return &Client{where: "the remote host", api: api.Version, http: &http.Client{Transport: w}, close: w.close}
}

// Close closes the connection, and so ends the locks and calls that use it. A later
// call opens another.
func (c *Client) Close() { c.close() }

// Route makes replicas those of env: the agent carries traffic to them, and does not
// supervise them. Former replicas get no new requests. Route returns when they have
// finished those in flight, or after the drain timeout.
func (l *Lock) Route(ctx context.Context, env bluegreen.Environment, replicas []store.ExternalReplica) error {
	// The path keeps the name that earlier versions use.
	return l.change(ctx, http.MethodPut, environmentPath(l.name, env, "targets"), replicas, nil)
}

// StoreContainerSpec stores the spec that the replicas of env are created from; nil
// removes it. The agent does not read it.
func (l *Lock) StoreContainerSpec(ctx context.Context, env bluegreen.Environment, spec []byte) error {
	// The path keeps the name that earlier versions use.
	return l.change(ctx, http.MethodPut, environmentPath(l.name, env, "blueprint"), spec, nil)
}

// ContainerSpec returns what StoreContainerSpec has stored, nil for nothing.
func (l *Lock) ContainerSpec(ctx context.Context, env bluegreen.Environment) (spec []byte, err error) {
	// The path keeps the name that earlier versions use.
	err = l.change(ctx, http.MethodGet, environmentPath(l.name, env, "blueprint"), nil, &spec)
	return spec, err
}

// EngineUse says who uses the Docker engine of the agent's host.
type EngineUse = api.EngineReply

// EngineUse returns who uses the engine. An agent of an earlier version, which uses none,
// returns ErrUnknownRequest.
func (c *Client) EngineUse(ctx context.Context) (use EngineUse, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/engine", "", nil, &use)
	return use, err
}

// EndAgentIfUnused says that the holder of this lock will change nothing more. The
// agent then ends if it has no deployment and every other holder of a lock has said
// the same: it gives out no more locks, and ends with the last one. ends reports
// whether it does; it is false for an agent that is still needed.
func (l *Lock) EndAgentIfUnused(ctx context.Context) (ends bool, err error) {
	// The path keeps the name that earlier versions use.
	err = l.change(ctx, http.MethodPost, deploymentPath(l.name, "retire"), nil, &ends)
	return ends, err
}

// DialReplica connects to an external replica of env through the agent. It fails if the
// replica has another incarnation.
func (c *Client) DialReplica(
	ctx context.Context, name string, env bluegreen.Environment, ref bluegreen.InstanceRef,
) (net.Conn, error) {
	near, far := net.Pipe()
	lasting, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, hangUp)
	path := environmentPath(name, env, "instances", ref.ID, "dial") + "?incarnation=" + url.QueryEscape(ref.Incarnation)
	//nolint:bodyclose // The body is the connection, and is closed with it.
	response, err := c.exchange(lasting, http.MethodPost, path, "", outgoing{far})
	if !stop() && err == nil {
		response.Body.Close()
		err = context.Cause(ctx)
	}
	if err != nil {
		hangUp()
		near.Close()
		far.Close()
		return nil, err
	}
	go func() {
		defer hangUp()
		defer far.Close()
		defer response.Body.Close()
		// An error says that one of the ends hung up.
		_, _ = io.Copy(far, response.Body)
	}()
	return near, nil
}

// outgoing is what goes to a replica, as the body of a request. The transport closes
// it when the response ends. Close therefore only stops reads, so that the rest of the
// response can still be written to the connection.
type outgoing struct{ net.Conn }

func (o outgoing) Close() error { return o.SetReadDeadline(time.Unix(1, 0)) }
