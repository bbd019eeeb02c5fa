// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agent

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

// sickServer is a replica that answers with its ID, or 503 while isSick.
func sickServer(t *testing.T, id string) (replica store.ExternalReplica, isSick *atomic.Bool) {
	t.Helper()
	isSick = new(atomic.Bool)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if isSick.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprint(w, id)
	}))
	t.Cleanup(server.Close)
	return store.ExternalReplica{ID: id, Incarnation: "first", Address: server.Listener.Addr().String()}, isSick
}

// commitUpkeep commits that all the replicas are live, and how they are looked after.
func (r *routed) commitUpkeep(upkeep *store.Upkeep, replicas ...store.ExternalReplica) {
	r.Helper()
	r.route(replicas...)
	r.generation++
	next := liveOn(replicas[0], bluegreen.Green, r.generation)
	next.Green.Passed = nil
	for _, replica := range replicas {
		// On docker the ledger has the run of the container as well.
		ref := bluegreen.InstanceRef{ID: replica.ID, Incarnation: replica.Incarnation + "/run"}
		next.Green.Passed = append(next.Green.Passed, ref)
	}
	if err := r.Commit(r.Context(), next, nil, store.Frontend{DrainTimeout: longTimeout}, upkeep); err != nil {
		r.Fatal(err)
	}
	status, err := r.client.Deployment(r.Context(), "web")
	if err != nil {
		r.Fatal(err)
	}
	r.endpoint = status.Endpoint
}

// upkeepOf is the upkeep of the release that liveOn has.
func upkeepOf(config health.Config) *store.Upkeep {
	return &store.Upkeep{
		Fingerprint: bluegreen.Release{Version: "1.0.0", Image: "web", Replicas: 1}.Seal("").Fingerprint,
		Health:      config, UnhealthyThreshold: 2,
	}
}

// eventually waits until condition returns nil.
func (r *routed) eventually(condition func() error) {
	r.Helper()
	attempt := func() (struct{}, error) { return struct{}{}, condition() }
	pause := backoff.WithBackOff(backoff.NewConstantBackOff(5 * time.Millisecond))
	if _, err := backoff.Retry(r.Context(), attempt, pause, backoff.WithMaxElapsedTime(time.Minute)); err != nil {
		r.Fatal(err)
	}
}

// awaitUnhealthy waits until the agent says of this replica, and of no other, that it is
// unhealthy. With "" that is none.
func (r *routed) awaitUnhealthy(id string) {
	r.Helper()
	r.eventually(func() error {
		instances, err := r.client.Instances(r.Context(), "web", bluegreen.Green)
		for _, instance := range instances {
			if (instance.ID == id) != (instance.Unready != "") {
				err = fmt.Errorf("%s has the cause %q", instance.ID, instance.Unready)
			}
		}
		return err
	})
}

// The agent cannot run the commands of the check in an external replica. It leaves them
// out, and probes what it can reach.
func TestSickExternalReplicaLeavesTheTraffic(t *testing.T) {
	t.Parallel()
	r := newRouted(t)
	well, _ := sickServer(t, "green-1")
	sick, isSick := sickServer(t, "green-2")
	r.commitUpkeep(upkeepOf(health.Config{
		HTTP: &health.HTTP{}, Exec: &health.Exec{Command: []string{"false"}},
	}), well, sick)
	isSick.Store(true)
	r.awaitUnhealthy("green-2")
	r.eventually(func() error {
		for range 4 {
			if status, body := r.ask(); status != http.StatusOK || body != "green-1" {
				return fmt.Errorf("%d %s", status, body)
			}
		}
		return nil
	})
	isSick.Store(false)
	r.awaitUnhealthy("")
}

// A client of an earlier version, or one without a configuration, commits nothing about
// the upkeep. The agent goes on with what it has.
func TestCommitWithoutUpkeepChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRouted(t)
	well, _ := sickServer(t, "green-1")
	sick, isSick := sickServer(t, "green-2")
	r.commitUpkeep(upkeepOf(health.Config{}), well, sick)
	r.commitUpkeep(nil, well, sick)
	isSick.Store(true)
	r.awaitUnhealthy("green-2")
}

// An agent that takes over, and one that is started after a crash, goes on with the health
// check: a replica that was unhealthy is so for it too, and it finds the next one.
func TestNextAgentGoesOnWithTheUpkeep(t *testing.T) {
	t.Parallel()
	r, formerEnded := newRoutedProcess(t)
	replicas, isSick := make([]store.ExternalReplica, 4), make([]*atomic.Bool, 4)
	for i := range replicas {
		replicas[i], isSick[i] = sickServer(t, store.ReplicaID(bluegreen.Green, i+1))
	}
	r.commitUpkeep(upkeepOf(health.Config{}), replicas...)
	r.Unlock()
	isSick[1].Store(true)
	r.awaitUnhealthy("green-2")
	r.requireHealthyAnswers()

	successorEnded := startAgent(t, r.client.dir, "-take-over")
	if output, err := formerEnded(); err != nil {
		t.Errorf("the former agent ends with %v: %s", err, output)
	}
	r.awaitUnhealthy("green-2")
	r.requireHealthyAnswers()
	isSick[1].Store(false)
	r.awaitUnhealthy("")
	isSick[2].Store(true)
	r.awaitUnhealthy("green-3")
	r.requireHealthyAnswers()

	pid, err := r.client.PID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := successorEnded(); err == nil {
		t.Error("the agent was not killed")
	}
	startAgent(t, r.client.dir)
	r.awaitUnhealthy("green-3")
	r.requireHealthyAnswers()
	isSick[2].Store(false)
	r.awaitUnhealthy("")
}

// The next agent knows from the beginning which replicas are unhealthy: no client reaches
// one while its first probe runs.
func TestNextAgentKnowsWhatIsUnhealthy(t *testing.T) {
	t.Parallel()
	r, ended := newRoutedProcess(t)
	well, _ := sickServer(t, "green-1")
	var isSick, hangs atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if hangs.Load() && request.URL.Path == "/healthz" {
			<-request.Context().Done()
		}
		if isSick.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	sick := store.ExternalReplica{
		ID: "green-2", Incarnation: "first", Address: server.Listener.Addr().String(),
	}
	r.commitUpkeep(upkeepOf(health.Config{
		HTTP: &health.HTTP{Path: "/healthz"}, ProbeTimeout: time.Minute,
	}), well, sick)
	r.Unlock()
	isSick.Store(true)
	r.awaitUnhealthy("green-2")
	r.eventually(func() error {
		_, err := os.Stat(filepath.Join(r.client.dir.Deployment("web"), "unhealthy.json"))
		return err
	})
	hangs.Store(true)

	pid, err := r.client.PID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := ended(); err == nil {
		t.Error("the agent was not killed")
	}
	startAgent(t, r.client.dir)
	r.eventually(func() error {
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.endpoint, "http://"))
		if err == nil {
			conn.Close()
		}
		return err
	})
	for range 20 {
		if status, body := r.ask(); status != http.StatusOK || body != "green-1" {
			t.Fatalf("a client is answered %d %q", status, body)
		}
	}
	r.awaitUnhealthy("green-2")
	isSick.Store(false)
	hangs.Store(false)
	server.CloseClientConnections()
	r.awaitUnhealthy("")
}

// requireHealthyAnswers waits until clients are answered by healthy replicas only.
func (r *routed) requireHealthyAnswers() {
	r.Helper()
	r.eventually(func() error {
		for range 20 {
			if status, body := r.ask(); status != http.StatusOK {
				return fmt.Errorf("%s answers %d", body, status)
			}
		}
		return nil
	})
}

// Without a stored health check nothing is unhealthy. An unreadable one does not keep the
// deployment from serving.
func TestUnreadableUpkeepIsLeftOut(t *testing.T) {
	t.Parallel()
	dir := newStateDir(t)
	deployment := dir.Deployment("web")
	if err := os.MkdirAll(deployment, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(deployment, "upkeep.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := store.OpenUpkeepFile(deployment)
	if err == nil || file == nil {
		t.Errorf("an empty file is read: %v", err)
	}
	upkeep := upkeepOf(health.Config{Interval: time.Minute})
	ledger := liveOn(webServer(t, "green-1"), bluegreen.Green, 1)
	if err := file.Commit(upkeep, ledger); err != nil {
		t.Fatal(err)
	}
	if file, err = store.OpenUpkeepFile(deployment); err != nil {
		t.Fatal(err)
	}
	if found, ok := file.Find(upkeep.Fingerprint); !ok || found.Health.Interval != time.Minute {
		t.Errorf("stored is %+v", found)
	}
	// It goes with the last ledger that has the release.
	if err := file.Commit(nil, bluegreen.NewLedger("web")); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(deployment, "upkeep.json"))
	if err != nil || strings.Contains(string(content), upkeep.Fingerprint) {
		t.Errorf("left is %s, %v", content, err)
	}
}
