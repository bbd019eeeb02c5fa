// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
)

// lockPatience is how long an agent that starts waits for one that is about to leave.
const lockPatience = requestGrace + 5*time.Second

// lockStateDir locks the state directory, or returns nil if another agent serves it. While another
// agent has the lock and does not answer, it is about to leave, has just been killed, or has just
// been started as well.
func lockStateDir(ctx context.Context, dir store.Dir) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	pause := backoff.WithBackOff(backoff.NewConstantBackOff(5 * time.Millisecond))
	held, err := backoff.Retry(ctx, func() (*os.File, error) {
		held, err := store.LockFile(dir.Lock())
		if held != nil || err != nil {
			return held, backoff.Permanent(err)
		}
		return nil, askWhoServes(ctx, dir)
	}, pause, backoff.WithMaxElapsedTime(0))
	if ctx.Err() != nil {
		return held, nil
	}
	return held, err
}

// askWhoServes returns nil if an agent of dir answers. A connection alone does not say that: the
// kernel accepts some for a process that is being killed.
func askWhoServes(ctx context.Context, dir store.Dir) error {
	transport := &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return api.Dial(ctx, dir) },
		DisableKeepAlives: true,
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://agent/v1/version", nil)
	if err != nil {
		return err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}
