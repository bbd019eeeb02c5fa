// SPDX-License-Identifier: MPL-2.0

package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/socket"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// SilentError says that an agent on this machine runs and does not answer.
type SilentError struct {
	// PID is 0 if it is not known.
	PID int
	// Silence is how long it has not answered.
	Silence time.Duration
	// Log is the path of its log.
	Log string
}

func (e *SilentError) Error() string {
	const found = "has not answered for %s: it is stopped or hangs, and may not answer clients either"
	const remedy = "the replicas run on, and the next apply starts another agent for them"
	if e.PID == 0 {
		return fmt.Sprintf("the agent "+found+". See its process and its log, %s. When it is killed, "+remedy,
			e.Silence, e.Log)
	}
	return fmt.Sprintf("the agent, process %d, "+found+". See \"ps -o pid,stat,args -p %d\" and its log, %s. "+
		"If it is stopped (T), continue it with \"kill -CONT %d\". When it is killed, "+remedy,
		e.PID, e.Silence, e.PID, e.Log, e.PID)
}

// Unwrap says that nothing is known of the replicas.
func (e *SilentError) Unwrap() error { return bluegreen.ErrCouldNotAsk }

// silence is what an agent is given to answer.
type silence struct {
	// before is how long a request may take before the agent is asked whether it is there at
	// all. Some requests take minutes. 0 never asks.
	before time.Duration
	// answer is how long it may take to answer that.
	answer time.Duration
}

// agentSilence is enough for a machine that is busy with something else.
var agentSilence = silence{before: 10 * time.Second, answer: 10 * time.Second}

// watch returns a context that ends with a *SilentError if the agent does not answer anything
// until hasAnswered is called. end frees what it takes.
func (c *Client) watch(ctx context.Context) (watched context.Context, hasAnswered, end func()) {
	watched, cancel := context.WithCancelCause(ctx)
	end = func() { cancel(nil) }
	if c.silence.before == 0 {
		return watched, func() {}, end
	}
	answered, stop := context.WithCancel(watched)
	go func() {
		for {
			select {
			case <-answered.Done():
				return
			case <-time.After(c.silence.before):
			}
			if !c.isThere(answered) && answered.Err() == nil {
				cancel(&SilentError{c.peer(), c.silence.before + c.silence.answer, c.dir.Log()})
				return
			}
		}
	}()
	return watched, stop, end
}

// isThere reports whether the agent answers a request that needs no work. It may be leaving.
func (c *Client) isThere(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, c.silence.answer)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://agent/v1/version", http.NoBody)
	if err != nil {
		return true
	}
	response, err := c.http.Do(request)
	if err == nil {
		response.Body.Close()
	}
	return ctx.Err() == nil
}

// peer returns the process that listens on the agent's socket, 0 if that is not known.
func (c *Client) peer() int {
	ctx, cancel := context.WithTimeout(context.Background(), c.silence.answer)
	defer cancel()
	conn, err := api.Dial(ctx, c.dir)
	if err != nil {
		return 0
	}
	defer conn.Close()
	return socket.PeerPID(conn)
}

// watchedBody is the body of an answer. It ends the context of its request.
type watchedBody struct {
	io.ReadCloser

	end func()
}

func (b *watchedBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}
