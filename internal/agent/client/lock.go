// SPDX-License-Identifier: MPL-2.0

package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// unlockTimeout bounds how long Unlock waits for what goes on under the lock.
const unlockTimeout = 5 * time.Second

// Lock is the lock of one deployment, and with it the right to change it. It
// ends with Unlock, with this process, or with the agent.
type Lock struct {
	client      *Client
	name, token string
	response    *http.Response
	hangUp      context.CancelFunc
	once        sync.Once
	// damage says which files of the deployment are lost, and what brings them back.
	damage []string
}

// Lock makes holder the only one to change the deployment called name. While
// another does, it returns a *bluegreen.LockedError at once. ctx bounds the
// attempt, and not the lock.
func (c *Client) Lock(ctx context.Context, name, holder string) (*Lock, error) {
	held, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, hangUp)
	l, err := c.lock(held, name, holder)
	if !stop() {
		if err == nil {
			l.response.Body.Close()
		}
		hangUp()
		return nil, context.Cause(ctx)
	}
	if err != nil {
		hangUp()
		return nil, err
	}
	l.hangUp = hangUp
	return l, nil
}

func (c *Client) lock(ctx context.Context, name, holder string) (*Lock, error) {
	response, err := c.send(ctx, http.MethodPost, deploymentPath(name, "lock"), "", api.LockRequest{Holder: holder})
	if err != nil {
		return nil, err
	}
	var reply api.LockReply
	if err := json.NewDecoder(response.Body).Decode(&reply); err != nil {
		response.Body.Close()
		return nil, c.explainNoAnswer(ctx, err)
	}
	return &Lock{client: c, name: name, token: reply.Token, response: response, damage: reply.Damage}, nil
}

// WarnOfDamage calls warn, unless it is nil, with each file of the deployment that is lost.
func (l *Lock) WarnOfDamage(warn func(message string)) {
	if warn == nil {
		return
	}
	for _, message := range l.damage {
		warn(message)
	}
}

// Unlock gives the lock back. When it returns another can have it. A second
// call does nothing.
func (l *Lock) Unlock() {
	l.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), unlockTimeout)
		defer cancel()
		// The connection ends in any case, and with it the lock.
		_ = l.client.call(ctx, http.MethodDelete, deploymentPath(l.name, "lock"), l.token, nil, nil)
		l.hangUp()
		l.response.Body.Close()
	})
}

// Abandon closes the connection that holds the lock, and does not wait until the agent has
// released it.
func (l *Lock) Abandon() {
	l.once.Do(func() {
		l.hangUp()
		l.response.Body.Close()
	})
}

// Commit makes next the ledger and appends closed to the archive, in one durable
// step, and points traffic where next says. It returns bluegreen.ErrStale unless
// next follows the stored ledger, and an *AddressError if it cannot listen as front says.
// upkeep, if not nil, says how the replicas of its release are looked after from then on.
func (l *Lock) Commit(
	ctx context.Context, next bluegreen.Ledger, closed []bluegreen.Record, front store.Frontend, upkeep *store.Upkeep,
) error {
	request := api.CommitRequest{Ledger: next, Key: next.Key, Closed: closed, Frontend: front, Upkeep: upkeep}
	return l.change(ctx, http.MethodPut, deploymentPath(l.name, "ledger"), request, nil)
}

// Erase forgets the deployment.
func (l *Lock) Erase(ctx context.Context) error {
	return l.change(ctx, http.MethodDelete, deploymentPath(l.name), nil, nil)
}

// Prepare copies the image of release, which is an absolute path, and returns its digest.
// An agent of an earlier version copies it only when it provisions, and the digest is "".
func (l *Lock) Prepare(ctx context.Context, release bluegreen.Release) (string, error) {
	request, reply := api.PrepareRequest{Release: release}, api.ProvisionReply{}
	request.Settings, _ = release.Settings.(process.Settings)
	if err := l.checkSettings(ctx, request.Settings); err != nil {
		return "", err
	}
	err := l.change(ctx, http.MethodPost, deploymentPath(l.name, "image"), request, &reply)
	if errors.Is(err, ErrUnknownRequest) {
		return "", nil
	}
	return reply.Digest, err
}

// Provision makes env run exactly release, whose image is an absolute path, and
// returns the digest of the image. The replicas get their ports from a range such as
// "20000-29999", or from that of the agent if ports is "".
func (l *Lock) Provision(
	ctx context.Context, env bluegreen.Environment, release bluegreen.Release, ports string,
) (string, error) {
	request := api.ProvisionRequest{Release: release, Env: release.Variables(), Ports: ports}
	var reply api.ProvisionReply
	request.Settings, _ = release.Settings.(process.Settings)
	if err := l.checkSettings(ctx, request.Settings); err != nil {
		return "", err
	}
	err := l.change(ctx, http.MethodPut, environmentPath(l.name, env), request, &reply)
	return reply.Digest, err
}

// checkSettings returns an error if the agent is of an earlier version, which would not heed the
// settings.
func (l *Lock) checkSettings(ctx context.Context, settings process.Settings) error {
	if settings == (process.Settings{}) {
		return nil
	}
	var reply api.VersionReply
	if err := l.change(ctx, http.MethodGet, "/v1/version", nil, &reply); err != nil {
		return err
	}
	unknown := ""
	switch {
	case !reply.HeedsSettings:
		unknown = "settings such as user and stop_timeout"
	case settings.FollowLinks && !reply.FollowsLinks:
		unknown = "the setting follow_links"
	default:
		return nil
	}
	return fmt.Errorf("the agent that runs (process %d) is older than the provider, and does not know %s; "+
		"it has to be replaced first", reply.PID, unknown)
}

// Scale makes env run what was provisioned last at this size.
func (l *Lock) Scale(ctx context.Context, env bluegreen.Environment, replicas int) error {
	path := environmentPath(l.name, env, "size")
	return l.change(ctx, http.MethodPut, path, api.ScaleRequest{Replicas: replicas}, nil)
}

// Restart ends this run of an instance in env and starts it again. An agent of an earlier
// version does nothing.
func (l *Lock) Restart(ctx context.Context, env bluegreen.Environment, run bluegreen.InstanceRef) error {
	path := environmentPath(l.name, env, "instances", run.ID, "restart")
	err := l.change(ctx, http.MethodPost, path, api.RestartRequest{Incarnation: run.Incarnation}, nil)
	if errors.Is(err, ErrUnknownRequest) {
		return nil
	}
	return err
}

// Remove stops and removes everything in env.
func (l *Lock) Remove(ctx context.Context, env bluegreen.Environment) error {
	return l.change(ctx, http.MethodDelete, environmentPath(l.name, env), nil, nil)
}

func (l *Lock) change(ctx context.Context, method, path string, body, reply any) error {
	err := l.client.call(ctx, method, path, l.token, body, reply)
	if errors.Is(err, ErrNotRunning) {
		return fmt.Errorf("%w: %w", ErrLockLost, err)
	}
	return err
}
