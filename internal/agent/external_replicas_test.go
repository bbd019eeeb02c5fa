// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// routed is a deployment with external replicas, and its lock.
type routed struct {
	*testing.T
	*client.Lock
	client     *testAgent
	generation uint64
	endpoint   string
}

func newRouted(t *testing.T) *routed {
	t.Helper()
	return newRoutedBy(t, newTestAgent(t))
}

func newRoutedBy(t *testing.T, c *testAgent) *routed {
	t.Helper()
	held, err := c.Lock(t.Context(), "web", "somebody")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(held.Unlock)
	return &routed{T: t, Lock: held, client: c}
}

// newRoutedProcess is newRouted for an agent in a process of its own. ended is that of startAgent.
func newRoutedProcess(t *testing.T) (r *routed, ended func() (string, error)) {
	t.Helper()
	dir := newStateDir(t)
	c, err := client.New(string(dir))
	if err != nil {
		t.Fatal(err)
	}
	ended = startAgent(t, dir)
	return &routed{T: t, Lock: lockOf(t, c), client: &testAgent{Client: c, dir: dir}}, ended
}

// route makes replicas those of the environment that is live.
func (r *routed) route(replicas ...store.ExternalReplica) {
	r.Helper()
	if err := r.Route(r.Context(), bluegreen.Green, replicas); err != nil {
		r.Fatal(err)
	}
}

// makeLive commits that the replica has passed and is live.
func (r *routed) makeLive(replica store.ExternalReplica) {
	r.Helper()
	r.makeLiveBehind(store.Frontend{DrainTimeout: longTimeout}, replica)
}

// makeLiveBehind is makeLive with this frontend.
func (r *routed) makeLiveBehind(front store.Frontend, replica store.ExternalReplica) {
	r.Helper()
	r.generation++
	next := liveOn(replica, bluegreen.Green, r.generation)
	if err := r.Commit(r.Context(), next, nil, front, nil); err != nil {
		r.Fatal(err)
	}
	status, err := r.client.Deployment(r.Context(), "web")
	if err != nil {
		r.Fatal(err)
	}
	r.endpoint = status.Endpoint
}

// ask returns what a client is answered.
func (r *routed) ask() (status int, body string) {
	r.Helper()
	asker := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := asker.Get(r.endpoint)
	if err != nil {
		r.Error(err)
		return 0, ""
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		r.Error(err)
	}
	return response.StatusCode, string(content)
}

// A container that was made anew has the address of the one before it, and has
// proven nothing.
func TestTargetMadeAnewGetsNoTrafficUntilItHasPassed(t *testing.T) {
	t.Parallel()
	r, replica := newRouted(t), webServer(t, "green-1")
	r.route(replica)
	r.makeLive(replica)
	if status, body := r.ask(); status != http.StatusOK || body != "green-1" {
		t.Fatalf("it answers %d, %q", status, body)
	}
	anew := replica
	anew.Incarnation = "second"
	r.route(anew)
	if status, _ := r.ask(); status != http.StatusBadGateway {
		t.Errorf("before it has passed: %d", status)
	}
	r.makeLive(anew)
	if status, body := r.ask(); status != http.StatusOK || body != "green-1" {
		t.Errorf("once it has passed: %d, %q", status, body)
	}
}

// A replica that goes finishes what it has, even when it is asked again.
func TestTargetThatGoesFinishesWhatItHas(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		fmt.Fprint(w, "finished")
	}))
	t.Cleanup(slow.Close)
	r, address := newRouted(t), slow.Listener.Addr().String()
	replica := store.ExternalReplica{ID: "green-1", Incarnation: "first", Address: address}
	r.route(replica)
	r.makeLive(replica)
	answer := make(chan string, 1)
	go func() {
		_, body := r.ask()
		answer <- body
	}()
	<-arrived

	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := r.Route(ctx, bluegreen.Green, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while something is in flight: %v", err)
		}
		cancel()
	}
	if status, _ := r.ask(); status != http.StatusBadGateway {
		t.Errorf("it gets new traffic: %d", status)
	}
	close(release)
	r.route()
	if body := <-answer; body != "finished" {
		t.Errorf("what was in flight ends with %q", body)
	}
}

func TestEnvironmentHasEitherProcessesOrExternalReplicas(t *testing.T) {
	t.Parallel()
	r := newRouted(t)
	sleeps := bluegreen.Release{Version: "1", Image: "/bin/sleep", Args: []string{"600"}, Replicas: 1}
	r.route(webServer(t, "green-1"))
	if _, err := r.Provision(t.Context(), bluegreen.Green, sleeps, ""); err == nil {
		t.Error("processes are started next to external replicas")
	}
	if _, err := r.Provision(t.Context(), bluegreen.Blue, sleeps, ""); err != nil {
		t.Fatal(err)
	}
	if err := r.Route(t.Context(), bluegreen.Blue, []store.ExternalReplica{webServer(t, "blue-1")}); err == nil {
		t.Error("external replicas are accepted next to processes")
	}
	if err := r.Remove(t.Context(), bluegreen.Blue); err != nil {
		t.Error(err)
	}
}

// The file of the external replicas of live is torn. The deployment stays open, the holder of the
// next lock is told, and once the replicas are there again, clients are answered.
func TestTornFileOfExternalReplicasKeepsNoDeploymentClosed(t *testing.T) {
	t.Parallel()
	dir := newStateDir(t)
	c, err := client.New(string(dir))
	if err != nil {
		t.Fatal(err)
	}
	formerEnded := startAgent(t, dir)
	held := lockOf(t, c)
	replica := webServer(t, "green-1")
	if err := errors.Join(
		held.Route(t.Context(), bluegreen.Green, []store.ExternalReplica{replica}),
		held.Commit(t.Context(), liveOn(replica, bluegreen.Green, 1), nil, store.Frontend{}, nil),
	); err != nil {
		t.Fatal(err)
	}
	held.Unlock()
	path := filepath.Join(store.EnvironmentDir(dir.Deployment("web"), bluegreen.Green), "targets.json")
	if err := os.WriteFile(path, []byte(`{"sche`), 0o600); err != nil {
		t.Fatal(err)
	}
	startAgent(t, dir, "-take-over")
	if output, err := formerEnded(); err != nil {
		t.Fatalf("the former agent ends with %v: %s", err, output)
	}
	held = lockOf(t, c)
	defer held.Unlock()
	var damage []string
	held.WarnOfDamage(func(message string) { damage = append(damage, message) })
	if len(damage) != 1 || !strings.Contains(damage[0], path) {
		t.Errorf("the damage is %q", damage)
	}
	status, err := c.Deployment(t.Context(), "web")
	if err != nil || status.Running[bluegreen.Green] != 0 || status.Outage != nil {
		t.Fatalf("the status is %+v, %v", status, err)
	}
	if err := held.Route(t.Context(), bluegreen.Green, []store.ExternalReplica{replica}); err != nil {
		t.Fatal(err)
	}
	response, err := http.Get(status.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "green-1" {
		t.Errorf("a client is answered with %q, %v", body, err)
	}
}
