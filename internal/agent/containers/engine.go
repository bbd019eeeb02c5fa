// SPDX-License-Identifier: MPL-2.0

package containers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// askTimeout is how long the engine may take to answer a question.
const askTimeout = 5 * time.Second

// Engine is the Docker engine of the host. It connects at the first call.
type Engine struct {
	api *client.Client
	// agent is the name of the agent in the labels of its containers.
	agent string
	log   *slog.Logger
	// isSilent is set while the engine does not answer, so that this is logged once.
	isSilent atomic.Bool
}

// Open returns the engine that listens on the Unix socket at path. The containers of the
// agent with this name are its own.
func Open(path, agent string, log *slog.Logger) (*Engine, error) {
	api, err := client.New(client.WithHost("unix://" + path))
	if err != nil {
		return nil, fmt.Errorf("docker engine at %s: %w", path, err)
	}
	return &Engine{api: api, agent: agent, log: log.With("engine", path)}, nil
}

// Close closes the connections.
func (e *Engine) Close() { e.api.Close() }

// Check returns an error unless the engine answers.
func (e *Engine) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	_, err := e.api.Ping(ctx, client.PingOptions{})
	return err
}

// explain returns the error of a call to the engine. It wraps bluegreen.ErrCouldNotAsk
// unless the engine has answered that the container is gone or cannot do what is asked.
func (e *Engine) explain(ctx context.Context, err error) error {
	isAnswer := err == nil || errdefs.IsNotFound(err) || errdefs.IsConflict(err)
	switch {
	case isAnswer && e.isSilent.CompareAndSwap(true, false):
		e.log.Info("the Docker engine answers again")
	case !isAnswer && !errors.Is(ctx.Err(), context.Canceled) && e.isSilent.CompareAndSwap(false, true):
		e.log.Warn("the Docker engine does not answer; what it knows of the containers does not count", "error", err)
	}
	if isAnswer {
		return err
	}
	return fmt.Errorf("%w: %w", bluegreen.ErrCouldNotAsk, err)
}
