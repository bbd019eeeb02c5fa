// SPDX-License-Identifier: MPL-2.0

package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process/listener"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// errNoAnswer: the agent has ended, or been ended, in the middle of a request.
var errNoAnswer = errors.New("the agent did not answer")

// Client talks to the agent of one state directory.
type Client struct {
	// dir is the state directory if the agent is on this machine.
	dir store.Dir
	// where names the place in errors.
	where string
	api   int
	http  *http.Client
	close func()
	// silence is zero for a remote agent, whose connection is probed by itself.
	silence silence
}

// New returns a client of the agent of stateDir, which need not run. It
// holds no connection between calls.
func New(stateDir string) (*Client, error) {
	dir, err := store.OpenDir(stateDir)
	if err != nil {
		return nil, err
	}
	return &Client{
		dir: dir, where: string(dir), api: api.Version, close: func() {}, silence: agentSilence,
		http: &http.Client{Transport: &http.Transport{
			DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return api.Dial(ctx, dir) },
			DisableKeepAlives: true,
		}},
	}, nil
}

// isLocal reports whether the agent is on this machine.
func (c *Client) isLocal() bool { return c.dir != "" }

// Instance is a replica and where it listens.
type Instance struct {
	bluegreen.Instance
	// Address is host:port, "" while it does not run or does not listen.
	Address string
	// NotListening says why a running instance has no address.
	NotListening string
	// Listeners identify the sockets that it listens with; see Client.Listener.
	Listeners []string
}

// ListensStill reports whether now, a later answer of Listener, is about the same run as i, and
// whether that run has listened all the time in between.
func (i Instance) ListensStill(now Instance) bool {
	return i.Ref() == now.Ref() && now.Address != "" && listener.HasStayed(i.Listeners, now.Listeners)
}

// Deployment returns a deployment, or bluegreen.ErrNotFound.
func (c *Client) Deployment(ctx context.Context, name string) (bluegreen.Status, error) {
	var reply api.DeploymentReply
	err := c.call(ctx, http.MethodGet, deploymentPath(name), "", nil, &reply)
	status := reply.Status()
	if err == nil && c.isLocal() {
		status.Notice = c.describeAge(reply.Agent)
	}
	if reply.LostLive != "" {
		status.Notice = strings.TrimPrefix(status.Notice+"\n\n"+describeLostLive(reply.LostLive), "\n\n")
	}
	return status, err
}

// describeLostLive says what follows from it that a file of live is lost.
func describeLostLive(lost string) string {
	return "What serves goes on, but a replica that dies is not started again: " + lost + ". To deploy the same " +
		"release once more, change a value in triggers."
}

// KeptSettings returns the settings that a deployment keeps. An agent of an earlier version does not
// tell them, and returns ErrUnknownRequest. They are in its files, which Offline reads.
func (c *Client) KeptSettings(ctx context.Context, name string) (kept KeptSettings, err error) {
	err = c.call(ctx, http.MethodGet, deploymentPath(name, "settings"), "", nil, &kept)
	return kept, err
}

// History returns the archived records, oldest first.
func (c *Client) History(ctx context.Context, name string) ([]bluegreen.Record, error) {
	var records []bluegreen.Record
	err := c.call(ctx, http.MethodGet, deploymentPath(name, "history"), "", nil, &records)
	return records, err
}

// Instances lists what runs in env, and what should.
func (c *Client) Instances(ctx context.Context, name string, env bluegreen.Environment) ([]Instance, error) {
	var replies []api.InstanceReply
	if err := c.call(ctx, http.MethodGet, environmentPath(name, env, "instances"), "", nil, &replies); err != nil {
		return nil, err
	}
	list := make([]Instance, 0, len(replies))
	for _, reply := range replies {
		list = append(list, Instance(reply))
	}
	return list, nil
}

// Listener returns an instance, after the agent has looked who listens on its port. An agent of
// an earlier version does not look, and returns ErrUnknownRequest.
func (c *Client) Listener(
	ctx context.Context, name string, env bluegreen.Environment, id string,
) (instance Instance, err error) {
	var reply api.InstanceReply
	err = c.call(ctx, http.MethodGet, environmentPath(name, env, "instances", id, "listener"), "", nil, &reply)
	return Instance(reply), err
}

// Logs returns at most the last n lines that an instance wrote, oldest first.
func (c *Client) Logs(ctx context.Context, name string, env bluegreen.Environment, id string, n int) ([]string, error) {
	var list []string
	path := environmentPath(name, env, "instances", id, "logs") + "?n=" + strconv.Itoa(n)
	err := c.call(ctx, http.MethodGet, path, "", nil, &list)
	return list, err
}

// Exec runs a command where an instance runs; nil means that it exited with 0.
func (c *Client) Exec(ctx context.Context, name string, env bluegreen.Environment, id string, command []string) error {
	path := environmentPath(name, env, "instances", id, "exec")
	return c.call(ctx, http.MethodPost, path, "", api.ExecRequest{Command: command}, nil)
}

// AwaitTraffic returns when new requests go to env and to nothing else.
func (c *Client) AwaitTraffic(ctx context.Context, name string, env bluegreen.Environment) error {
	return c.call(ctx, http.MethodPost, environmentPath(name, env, "await"), "", nil, nil)
}

// Drain returns when nothing talks to env any more.
func (c *Client) Drain(ctx context.Context, name string, env bluegreen.Environment) error {
	return c.call(ctx, http.MethodPost, environmentPath(name, env, "drain"), "", nil, nil)
}

func deploymentPath(name string, rest ...string) string {
	path, _ := url.JoinPath("/v1/deployments", append([]string{url.PathEscape(name)}, rest...)...)
	return path
}

func environmentPath(name string, env bluegreen.Environment, rest ...string) string {
	escaped := []string{"environments", url.PathEscape(string(env))}
	for _, part := range rest {
		escaped = append(escaped, url.PathEscape(part))
	}
	return deploymentPath(name, escaped...)
}

// call makes one request. It is never repeated: a commit whose answer was lost
// may have happened.
func (c *Client) call(ctx context.Context, method, path, token string, body, reply any) error {
	response, err := c.send(ctx, method, path, token, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if reply == nil {
		return nil
	}
	if err := json.NewDecoder(response.Body).Decode(reply); err != nil {
		return c.explainNoAnswer(ctx, err)
	}
	return nil
}

// send returns the response to a request that succeeded.
func (c *Client) send(ctx context.Context, method, path, token string, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encoding a request: %w", err)
		}
		content = bytes.NewReader(encoded)
	}
	return c.exchange(ctx, method, path, token, content)
}

// ErrUnknownRequest says that the agent is of an earlier version, which does not know
// this request.
var ErrUnknownRequest = errors.New("the agent does not know this request")

// exchange sends content and returns the response of a success.
func (c *Client) exchange(ctx context.Context, method, path, token string, content io.Reader) (*http.Response, error) {
	ctx, hasAnswered, end := c.watch(ctx)
	request, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, content)
	if err != nil {
		end()
		return nil, err
	}
	request.Header.Set(api.VersionHeader, strconv.Itoa(c.api))
	if token != "" {
		request.Header.Set(api.LockHeader, token)
	}
	response, err := c.http.Do(request)
	hasAnswered()
	if err != nil {
		defer end()
		return nil, c.explainNoAnswer(ctx, err)
	}
	response.Body = &watchedBody{response.Body, end}
	if response.StatusCode < http.StatusBadRequest {
		return response, nil
	}
	defer response.Body.Close()
	var f api.Failure
	if err := json.NewDecoder(response.Body).Decode(&f); err != nil {
		if response.StatusCode == http.StatusNotFound {
			return nil, ErrUnknownRequest
		}
		return nil, fmt.Errorf("the agent answered %s", response.Status)
	}
	return nil, c.remote(f)
}

func (c *Client) remote(f api.Failure) error {
	if f.Code == api.CodeVersion && f.Agent != nil {
		return &VersionError{Agent: f.Agent.API, Provider: c.api, PID: f.Agent.PID}
	}
	return f.Err()
}

// explainNoAnswer says why there was no whole answer.
func (c *Client) explainNoAnswer(ctx context.Context, err error) error {
	var silent *SilentError
	if errors.As(context.Cause(ctx), &silent) {
		return silent
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// net/http puts the method and a made-up address around the cause.
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	// A remote host was not reached: the dialer knows why.
	var unreached *dialError
	if errors.As(err, &unreached) {
		return unreached.err
	}
	if errors.Is(err, ErrNotRunning) {
		return err
	}
	return fmt.Errorf("%w (%s): %w", errNoAnswer, c.where, err)
}
