// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// loadGenerator is 8 clients that keep their connection and 4 that open one per request.
type loadGenerator struct {
	blue, green environment
	cancel      context.CancelFunc
	clients     sync.WaitGroup

	mu              sync.Mutex
	progress        *sync.Cond
	failures        []error
	ignoresFailures bool
}

type environment struct {
	pool     *router.Pool
	requests atomic.Int64
	// mustBeIdle is set while no request may arrive.
	mustBeIdle atomic.Bool
}

func startLoad(tb testing.TB, e *harness) *loadGenerator {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	l := &loadGenerator{cancel: cancel}
	l.progress = sync.NewCond(&l.mu)
	l.blue.pool, l.green.pool = e.blue, e.green
	for _, env := range []*environment{&l.blue, &l.green} {
		env.pool.Set([]router.Backend{
			replica(tb, "1", l.serve(env)), replica(tb, "2", l.serve(env)),
		})
	}
	for i := range 12 {
		c := newClient(tb)
		if i >= 8 {
			c.Transport = &http.Transport{DisableKeepAlives: true}
		}
		l.clients.Go(func() { l.client(ctx, c, e.url) })
	}
	tb.Cleanup(l.stop)
	return l
}

func (l *loadGenerator) other(env *environment) *environment {
	if env == &l.blue {
		return &l.green
	}
	return &l.blue
}

func (l *loadGenerator) serve(env *environment) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if env.mustBeIdle.Load() {
			l.fail(errors.New("a request reached an environment that was idle and not live"))
		}
		env.requests.Add(1)
		l.reportProgress()
		_, _ = fmt.Fprintln(w, env.pool.Environment())
	}
}

func (l *loadGenerator) client(ctx context.Context, c *http.Client, url string) {
	for ctx.Err() == nil {
		// The request itself is not cancelled: the last one finishes too.
		req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodGet, url, http.NoBody)
		if err != nil {
			l.fail(err)
			return
		}
		res, err := c.Do(req)
		if err != nil {
			l.fail(err)
			continue
		}
		if res.StatusCode != http.StatusOK {
			l.fail(errors.New(res.Status))
		}
		// Read to the end, or the connection is not kept.
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			l.fail(err)
		}
		_ = res.Body.Close()
	}
}

func (l *loadGenerator) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ignoresFailures {
		l.failures = append(l.failures, err)
	}
	l.progress.Broadcast()
}

// ignoreFailures is for a test that cuts the clients' requests on purpose.
func (l *loadGenerator) ignoreFailures() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ignoresFailures = true
}

func (l *loadGenerator) reportProgress() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.progress.Broadcast()
}

// await returns when the condition holds, or something has failed.
func (l *loadGenerator) await(condition func() bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !condition() && len(l.failures) == 0 {
		l.progress.Wait()
	}
}

func (l *loadGenerator) stop() {
	l.cancel()
	l.clients.Wait()
}
