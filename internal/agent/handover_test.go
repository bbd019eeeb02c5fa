// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// startAgent starts an agent of dir in a process of its own. ended returns what
// it wrote once it has ended.
func startAgent(t *testing.T, dir store.Dir, flags ...string) (ended func() (string, error)) {
	t.Helper()
	return startCommand(t, exec.Command(os.Args[0], agentArguments(dir, flags...)...))
}

// agentArguments make this program an agent of dir.
func agentArguments(dir store.Dir, flags ...string) []string {
	return append([]string{"agent", "-state-dir", string(dir), "-linger", api.LingerForever}, flags...)
}

// startCommand is startAgent for a command that becomes the agent.
func startCommand(t *testing.T, child *exec.Cmd) (ended func() (string, error)) {
	t.Helper()
	// A container has nothing else.
	child.Env = []string{"GORACE=atexit_sleep_ms=0"}
	var output strings.Builder
	child.Stdout, child.Stderr = &output, &output
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	wait := sync.OnceValue(child.Wait)
	t.Cleanup(func() {
		// An error says that it has ended already.
		_ = child.Process.Signal(syscall.SIGTERM)
		_ = wait()
		if strings.Contains(output.String(), "DATA RACE") {
			t.Error(output.String())
		}
	})
	return func() (string, error) { err := wait(); return output.String(), err }
}

// A second agent of a directory ends at once, and says why.
func TestSecondAgentEnds(t *testing.T) {
	t.Parallel()
	dir := newStateDir(t)
	c, err := client.New(string(dir))
	if err != nil {
		t.Fatal(err)
	}
	startAgent(t, dir)
	lockOf(t, c).Unlock()
	written, err := startAgent(t, dir)()
	if err != nil || written != "agent: another agent serves "+string(dir)+"\n" {
		t.Errorf("it wrote %q and ended with %v", written, err)
	}
}

// newStateDir returns a directory with a path that is short enough for a socket.
func newStateDir(t *testing.T) store.Dir {
	t.Helper()
	path, err := os.MkdirTemp("", "bg-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(path); err != nil {
			t.Error(err)
		}
	})
	return store.Dir(path)
}

// lockOf locks the deployment as soon as an agent lets it.
func lockOf(t *testing.T, c *client.Client) *client.Lock {
	t.Helper()
	held, err := backoff.Retry(t.Context(), func() (*client.Lock, error) {
		held, err := c.Lock(t.Context(), "web", "somebody")
		if err != nil && !client.IsUnavailable(err) {
			err = backoff.Permanent(err)
		}
		return held, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(5*time.Millisecond)), backoff.WithMaxElapsedTime(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return held
}

// liveOn is the ledger of a deployment that serves from one replica in env.
func liveOn(replica store.ExternalReplica, env bluegreen.Environment, generation uint64) bluegreen.Ledger {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	release := bluegreen.Release{Version: "1.0.0", Image: "web", Replicas: 1}.Seal("")
	l := bluegreen.NewLedger("web")
	l.Generation, l.HistoryLimit, l.Sequence, l.Live = generation, 10, 1, env
	l.Records = []bluegreen.Record{{
		ID: "deploy-1", Operation: bluegreen.OpDeploy, Environment: env, Version: release.Version, Image: release.Image,
		Replicas: 1, Fingerprint: release.Fingerprint, DeployedAt: at, SwitchedAt: &at, Status: bluegreen.StatusLive,
	}}
	slot := bluegreen.Slot{
		State: bluegreen.Live, Release: &release, Record: "deploy-1", Checked: true, DeployedAt: &at,
		Passed: []bluegreen.InstanceRef{{ID: replica.ID, Incarnation: replica.Incarnation}},
	}
	if env == bluegreen.Blue {
		l.Blue = slot
	} else {
		l.Green = slot
	}
	return l
}

// webServer is a replica that answers with its ID.
func webServer(t *testing.T, id string) store.ExternalReplica {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, id) }))
	t.Cleanup(server.Close)
	return store.ExternalReplica{ID: id, Incarnation: "first", Address: server.Listener.Addr().String()}
}

// visit makes requests without a pause until stop is called, which returns how
// many were answered and what went wrong first.
func visit(t *testing.T, url string, transport *http.Transport, answered *atomic.Int64) (stop func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	asker := &http.Client{Transport: transport}
	one := func() error {
		// A request with a body of unknown length is never sent twice.
		request, err := http.NewRequest(http.MethodPost, url, io.MultiReader(strings.NewReader("x")))
		if err != nil {
			return err
		}
		response, err := asker.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK || string(body) != "green-1" {
			return fmt.Errorf("%s: %q, %w", response.Status, body, err)
		}
		answered.Add(1)
		return nil
	}
	go func() {
		defer transport.CloseIdleConnections()
		for ctx.Err() == nil {
			if err := one(); err != nil {
				failed <- err
				return
			}
		}
		failed <- nil
	}()
	return func() error { cancel(); return <-failed }
}

// The settings of the router are stored with the deployment: an agent that takes over keeps
// to them, and so does one that starts later.
func TestNextAgentKeepsTheSettingsOfTheRouter(t *testing.T) {
	t.Parallel()
	dir := newStateDir(t)
	c, err := client.New(string(dir))
	if err != nil {
		t.Fatal(err)
	}
	formerEnded := startAgent(t, dir)
	held := lockOf(t, c)
	replica := webServer(t, "green-1")
	front := store.Frontend{DrainTimeout: longTimeout, MaxBody: 4}
	err = errors.Join(
		held.Route(t.Context(), bluegreen.Green, []store.ExternalReplica{replica}),
		held.Commit(t.Context(), liveOn(replica, bluegreen.Green, 1), nil, front, nil),
	)
	if err != nil {
		t.Fatal(err)
	}
	held.Unlock()
	status, err := c.Deployment(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	mustLimitBodies := func() {
		t.Helper()
		visitor := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		response, err := visitor.Post(status.Endpoint, "text/plain", strings.NewReader("story"))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("the answer is %s", response.Status)
		}
	}
	mustLimitBodies()
	successorEnded := startAgent(t, dir, "-take-over")
	if output, err := formerEnded(); err != nil {
		t.Errorf("the former agent ends with %v: %s", err, output)
	}
	mustLimitBodies()
	pid, err := c.PID(t.Context())
	if err == nil {
		err = syscall.Kill(pid, syscall.SIGTERM)
	}
	if err != nil {
		t.Fatal(err)
	}
	if output, err := successorEnded(); err != nil {
		t.Errorf("the successor ends with %v: %s", err, output)
	}
	startAgent(t, dir)
	lockOf(t, c).Unlock()
	mustLimitBodies()
}

// A newer agent takes over under load: no request is dropped, nothing can be
// changed while there are two, and afterwards there is one.
func TestAgentTakesOverWithoutADroppedRequest(t *testing.T) {
	t.Parallel()
	t.Run("clients", func(t *testing.T) {
		t.Parallel()
		testTakeover(t, store.Frontend{DrainTimeout: longTimeout}, "")
	})
	t.Run("proxies", func(t *testing.T) {
		t.Parallel()
		loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		front := store.Frontend{DrainTimeout: longTimeout, ProxyProtocol: true, TrustedProxies: loopback}
		testTakeover(t, front, "PROXY TCP4 203.0.113.7 198.51.100.1 4711 80\r\n")
	})
}

// testTakeover makes requests on connections that begin with preamble.
func testTakeover(t *testing.T, front store.Frontend, preamble string) {
	t.Helper()
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			_, err = io.WriteString(conn, preamble)
		}
		return conn, err
	}
	dir := newStateDir(t)
	c, err := client.New(string(dir))
	if err != nil {
		t.Fatal(err)
	}
	formerEnded := startAgent(t, dir)
	held := lockOf(t, c)
	replica := webServer(t, "green-1")
	err = errors.Join(
		held.Route(t.Context(), bluegreen.Green, []store.ExternalReplica{replica}),
		held.Commit(t.Context(), liveOn(replica, bluegreen.Green, 1), nil, front, nil),
	)
	if err != nil {
		t.Fatal(err)
	}
	held.Unlock()
	status, err := c.Deployment(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}

	var answered atomic.Int64
	var stops []func() error
	for range 4 {
		stops = append(stops,
			visit(t, status.Endpoint, &http.Transport{DialContext: dial}, &answered),
			visit(t, status.Endpoint, &http.Transport{DialContext: dial, DisableKeepAlives: true}, &answered))
	}
	(&routed{T: t}).eventually(func() error {
		if answered.Load() == 0 {
			return errors.New("nobody is answered")
		}
		return nil
	})
	startAgent(t, dir, "-take-over")
	if output, err := formerEnded(); err != nil {
		t.Errorf("the former agent ends with %v: %s", err, output)
	}
	before := answered.Load()
	held = lockOf(t, c)
	defer held.Unlock()
	next := liveOn(replica, bluegreen.Green, 2)
	if err := held.Commit(t.Context(), next, nil, front, nil); err != nil {
		t.Errorf("the new agent: %v", err)
	}
	for _, stop := range stops {
		if err := stop(); err != nil {
			t.Errorf("a client: %v", err)
		}
	}
	if after := answered.Load(); before == 0 || after == before {
		t.Errorf("%d requests were answered before the former agent ended, and %d in all", before, after)
	}
	if now, err := c.Deployment(t.Context(), "web"); err != nil || now.Endpoint != status.Endpoint {
		t.Errorf("the endpoint was %s and is %s, %v", status.Endpoint, now.Endpoint, err)
	}
}

func TestAgentThatIsAtWorkDoesNotHandOver(t *testing.T) {
	t.Parallel()
	dir := newStateDir(t)
	c, err := client.New(string(dir))
	if err != nil {
		t.Fatal(err)
	}
	startAgent(t, dir)
	held := lockOf(t, c)
	ended := startAgent(t, dir, "-take-over")
	if output, err := ended(); err == nil || !strings.Contains(output, "somebody") {
		t.Errorf("while somebody holds a lock: %v, %s", err, output)
	}
	// It goes on as before.
	release := bluegreen.Release{Version: "1", Image: "/bin/sleep", Args: []string{"600"}, Replicas: 1}
	if _, err := held.Provision(t.Context(), bluegreen.Green, release, ""); err != nil {
		t.Fatal(err)
	}
	if err := held.Remove(t.Context(), bluegreen.Green); err != nil {
		t.Error(err)
	}
	held.Unlock()
}

func TestAgentWithoutAFormerStartsAsUsual(t *testing.T) {
	t.Parallel()
	dir := newStateDir(t)
	c, err := client.New(string(dir))
	if err != nil {
		t.Fatal(err)
	}
	startAgent(t, dir, "-take-over")
	lockOf(t, c).Unlock()
}
