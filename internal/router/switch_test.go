// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

func TestSwitchMovesTheNextRequestOnTheSameConnection(t *testing.T) {
	t.Parallel()
	e, c := startRouter(t, protocol.HTTP, nil), newClient(t)
	e.blue.Set([]router.Backend{replica(t, "blue-1", answerWith("1.0.0"))})
	e.green.Set([]router.Backend{replica(t, "green-1", answerWith("2.0.0"))})

	if got := get(t, c, e.url).text; got != "1.0.0" {
		t.Fatalf("before the switch %q answers", got)
	}
	if previous := e.Switch(e.green); previous != e.blue || e.Pool() != e.green {
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
	e, c, slow := startRouter(t, protocol.HTTP, nil), newClient(t), newSlowHandler(t)
	e.blue.Set([]router.Backend{replica(t, "blue-1", slow.answers("1.0.0"))})
	e.green.Set([]router.Backend{replica(t, "green-1", answerWith("2.0.0"))})

	first := getInBackground(t, c, e.url)
	<-slow.arrived
	old := e.Switch(e.green)
	if got := get(t, c, e.url).text; got != "2.0.0" {
		t.Errorf("a request after the switch got %q", got)
	}
	if n := old.InFlight(); n != 1 {
		t.Errorf("%d in flight on the old environment, want 1", n)
	}
	over := errors.New("drain timeout is over")
	if err := old.WaitIdle(endedContext(t, over)); !errors.Is(err, over) {
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
	e, c := startRouter(t, protocol.HTTP, nil), newClient(t)
	e.Switch(nil)
	got := get(t, c, e.url)
	if got.StatusCode != http.StatusServiceUnavailable || got.Header.Get("Retry-After") != "1" {
		t.Errorf("status %d, Retry-After %q", got.StatusCode, got.Header.Get("Retry-After"))
	}
	if got.text != "no release serves at this address\n" {
		t.Errorf("body %q", got.text)
	}
}

// The agent relies on this: an environment that is idle after a switch stays so.
func TestHundredSwitchesUnderLoad(t *testing.T) {
	t.Parallel()
	e := startRouter(t, protocol.HTTP, nil)
	load := startLoad(t, e)
	const switches = 100
	for i := range switches {
		next := [2]*environment{&load.green, &load.blue}[i%2]
		next.mustBeIdle.Store(false)
		seen := next.requests.Load()
		old := e.Switch(next.pool)
		if err := old.WaitIdle(t.Context()); err != nil {
			t.Fatal(err)
		}
		load.other(next).mustBeIdle.Store(true)
		load.await(func() bool { return next.requests.Load() >= seen+10 })
	}
	load.stop()
	for _, err := range load.failures {
		t.Error(err)
	}
	t.Logf("%d requests through %d switches", load.blue.requests.Load()+load.green.requests.Load(), switches)
}

// Scaling in goes like this: out of the pool, idle, stopped.
func TestReplicasComeAndGoUnderLoad(t *testing.T) {
	t.Parallel()
	e := startRouter(t, protocol.HTTP, nil)
	load := startLoad(t, e)
	stays := replica(t, "stays", load.serve(&load.blue))
	for i := range 30 {
		extra := new(environment)
		extra.pool = e.blue
		id := fmt.Sprint("extra-", i)
		backend, stop := stoppableReplica(t, id, load.serve(extra))
		e.blue.Set([]router.Backend{stays, backend})
		load.await(func() bool { return extra.requests.Load() >= 5 })
		e.blue.Set([]router.Backend{stays})
		if err := e.blue.WaitBackendIdle(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		extra.mustBeIdle.Store(true)
		stop()
	}
	load.stop()
	for _, err := range load.failures {
		t.Error(err)
	}
}

func TestPoolIsOfUseAfterEveryCut(t *testing.T) {
	t.Parallel()
	e := startRouter(t, protocol.HTTP, nil)
	load := startLoad(t, e)
	load.ignoreFailures()
	for range 30 {
		e.blue.CloseConnections()
		seen := load.blue.requests.Load()
		load.await(func() bool { return load.blue.requests.Load() >= seen+10 })
	}
	load.stop()
	if err := e.blue.WaitIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := get(t, newClient(t), e.url).text; got != "blue\n" {
		t.Errorf("after the last cut %q answers", got)
	}
}
