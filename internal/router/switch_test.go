// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

func TestSwitchMovesTheNextRequestOnTheSameConnection(t *testing.T) {
	t.Parallel()
	e, c := open(t, router.HTTP, nil), browser(t)
	e.blue.Set([]router.Backend{replica(t, "blue-1", says("1.0.0"))})
	e.green.Set([]router.Backend{replica(t, "green-1", says("2.0.0"))})

	if got := get(t, c, e.url).text; got != "1.0.0" {
		t.Fatalf("before the switch %q answers", got)
	}
	if previous := e.Switch(e.green); previous != e.blue || e.Target() != e.green {
		t.Fatal("the switch did not replace blue by green")
	}
	reused := false
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused },
	})
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, e.url, http.NoBody)
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if !reused {
		t.Error("the client had to open another connection")
	}
	if got := get(t, c, e.url).text; got != "2.0.0" {
		t.Errorf("after the switch %q answers", got)
	}
}

func TestRequestInFlightFinishesOnTheOldEnvironment(t *testing.T) {
	t.Parallel()
	e, c, slow := open(t, router.HTTP, nil), browser(t), hold(t)
	e.blue.Set([]router.Backend{replica(t, "blue-1", slow.answers("1.0.0"))})
	e.green.Set([]router.Backend{replica(t, "green-1", says("2.0.0"))})

	first := later(t, c, e.url)
	<-slow.arrived
	old := e.Switch(e.green)
	if got := get(t, c, e.url).text; got != "2.0.0" {
		t.Errorf("a request after the switch got %q", got)
	}
	if n := old.InFlight(); n != 1 {
		t.Errorf("%d in flight on the old environment, want 1", n)
	}
	over := errors.New("drain timeout is over")
	if err := old.WaitIdle(ended(t, over)); !errors.Is(err, over) {
		t.Errorf("waiting for a busy environment ended with %v", err)
	}

	close(slow.release)
	if err := old.WaitIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := (<-first).text; got != "1.0.0" {
		t.Errorf("the request in flight got %q", got)
	}
}

func TestNoLiveEnvironmentAsksTheClientToComeBack(t *testing.T) {
	t.Parallel()
	e, c := open(t, router.HTTP, nil), browser(t)
	e.Switch(nil)
	got := get(t, c, e.url)
	if got.StatusCode != http.StatusServiceUnavailable || got.Header.Get("Retry-After") != "1" {
		t.Errorf("status %d, Retry-After %q", got.StatusCode, got.Header.Get("Retry-After"))
	}
	if got.text != "no environment is live\n" {
		t.Errorf("body %q", got.text)
	}
}

// The agent relies on this: an environment that is idle after a switch stays so.
func TestHundredSwitchesUnderLoad(t *testing.T) {
	t.Parallel()
	e := open(t, router.HTTP, nil)
	load := newLoad(t, e)
	const switches = 100
	for i := range switches {
		next := [2]*environment{&load.green, &load.blue}[i%2]
		next.retired.Store(false)
		seen := next.requests.Load()
		old := e.Switch(next.pool)
		if err := old.WaitIdle(t.Context()); err != nil {
			t.Fatal(err)
		}
		load.other(next).retired.Store(true)
		load.await(func() bool { return next.requests.Load() >= seen+10 })
	}
	load.stop()
	for _, err := range load.failures {
		t.Error(err)
	}
	t.Logf("%d requests through %d switches", load.blue.requests.Load()+load.green.requests.Load(), switches)
}

// load is 8 clients that keep their connection and 4 that open one per request.
type load struct {
	blue, green environment
	cancel      context.CancelFunc
	clients     sync.WaitGroup

	mu       sync.Mutex
	progress *sync.Cond
	failures []error
}

type environment struct {
	pool     *router.Pool
	requests atomic.Int64
	// retired is set while nothing may arrive.
	retired atomic.Bool
}

func newLoad(tb testing.TB, e *edge) *load {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	l := &load{cancel: cancel}
	l.progress = sync.NewCond(&l.mu)
	l.blue.pool, l.green.pool = e.blue, e.green
	for _, env := range []*environment{&l.blue, &l.green} {
		env.pool.Set([]router.Backend{
			replica(tb, "1", l.serve(env)), replica(tb, "2", l.serve(env)),
		})
	}
	for i := range 12 {
		c := browser(tb)
		if i >= 8 {
			c.Transport = &http.Transport{DisableKeepAlives: true}
		}
		l.clients.Go(func() { l.client(ctx, c, e.url) })
	}
	tb.Cleanup(l.stop)
	return l
}

func (l *load) other(env *environment) *environment {
	if env == &l.blue {
		return &l.green
	}
	return &l.blue
}

func (l *load) serve(env *environment) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if env.retired.Load() {
			l.fail(errors.New("a request reached an environment that was idle and not live"))
		}
		env.requests.Add(1)
		l.step()
		_, _ = fmt.Fprintln(w, env.pool.Environment())
	}
}

func (l *load) client(ctx context.Context, c *http.Client, url string) {
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
		_ = res.Body.Close()
	}
}

func (l *load) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, err)
	l.progress.Broadcast()
}

func (l *load) step() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.progress.Broadcast()
}

// await returns when the condition holds, or something has failed.
func (l *load) await(condition func() bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !condition() && len(l.failures) == 0 {
		l.progress.Wait()
	}
}

func (l *load) stop() {
	l.cancel()
	l.clients.Wait()
}
