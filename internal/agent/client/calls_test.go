// SPDX-License-Identifier: MPL-2.0

//go:build unix

package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// everyCall makes each call of a client once and returns its error by its name.
func everyCall(t *testing.T, c *client.Client) map[string]error {
	t.Helper()
	ctx := t.Context()
	return map[string]error{
		"PID":          errOf(c.PID(ctx)),
		"Deployment":   errOf(c.Deployment(ctx, "web")),
		"History":      errOf(c.History(ctx, "web")),
		"Instances":    errOf(c.Instances(ctx, "web", bluegreen.Green)),
		"Logs":         errOf(c.Logs(ctx, "web", bluegreen.Green, "green-1", 1)),
		"Exec":         c.Exec(ctx, "web", bluegreen.Green, "green-1", []string{"true"}),
		"AwaitTraffic": c.AwaitTraffic(ctx, "web", bluegreen.Green),
		"Drain":        c.Drain(ctx, "web", bluegreen.Green),
		"Lock":         errOf(c.Lock(ctx, "web", "somebody")),
	}
}

func TestFailureOfTheAgentIsReturnedByEveryCall(t *testing.T) {
	t.Parallel()
	c := clientOf(t, func(w http.ResponseWriter, _ *http.Request) {
		failure := api.FailureOf(bluegreen.ErrNotFound)
		w.WriteHeader(api.Statuses[failure.Code])
		_ = json.NewEncoder(w).Encode(failure)
	})
	for call, err := range everyCall(t, c) {
		if !errors.Is(err, bluegreen.ErrNotFound) {
			t.Errorf("%s: %v", call, err)
		}
	}
}

// The statuses of every failure begin at 400.
func TestAnswerThatIsNoFailureIsReportedWithItsStatus(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusBadRequest, http.StatusInternalServerError} {
		c := clientOf(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		for call, err := range everyCall(t, c) {
			if err == nil || !strings.Contains(err.Error(), "the agent answered") ||
				!strings.Contains(err.Error(), http.StatusText(status)) {
				t.Errorf("%s, answered with %d: %v", call, status, err)
			}
		}
	}
}

// An answer that breaks off does not count as an answer, even if the status has arrived.
func TestAnswerThatBreaksOffIsReportedAsNoAnswer(t *testing.T) {
	t.Parallel()
	c := clientOf(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{") })
	for call, err := range everyCall(t, c) {
		if slices.Contains([]string{"Exec", "AwaitTraffic", "Drain"}, call) {
			// Their answer is the status.
			if err != nil {
				t.Errorf("%s: %v", call, err)
			}
			continue
		}
		if !client.IsUnavailable(err) || !strings.Contains(err.Error(), "did not answer") {
			t.Errorf("%s: %v", call, err)
		}
	}
}

func TestNoCallReachesAnAgentThatDoesNotRun(t *testing.T) {
	t.Parallel()
	c, err := client.New(filepath.Join(shortTempDir(t), "none"))
	if err != nil {
		t.Fatal(err)
	}
	for call, err := range everyCall(t, c) {
		if !errors.Is(err, client.ErrNotRunning) || !client.IsUnavailable(err) ||
			strings.Contains(err.Error(), "did not answer") {
			t.Errorf("%s: %v", call, err)
		}
	}
}

// awaitHangUp waits until the client has closed the connection. The server looks
// at the connection only once the request has been read.
func awaitHangUp(r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func TestInstancesAreThoseOfTheAnswer(t *testing.T) {
	t.Parallel()
	want := []client.Instance{
		{Instance: bluegreen.Instance{ID: "green-1"}, Address: "127.0.0.1:20001"},
		{Instance: bluegreen.Instance{ID: "green-2", Exit: "exit status 3"}},
	}
	c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/v1/deployments/web/environments/green/instances" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		var replies []api.InstanceReply
		for _, instance := range want {
			replies = append(replies, api.InstanceReply(instance))
		}
		_ = json.NewEncoder(w).Encode(replies)
	})
	if got, err := c.Instances(t.Context(), "web", bluegreen.Green); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("the instances are %+v, %v", got, err)
	}
}

// The token of a lock goes with what is changed under it, and with nothing else.
func TestOnlyChangesCarryTheTokenOfTheLock(t *testing.T) {
	t.Parallel()
	tokens := map[string][]string{}
	c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/lock") {
			_ = json.NewEncoder(w).Encode(api.LockReply{Token: "a token"})
			_ = http.NewResponseController(w).Flush()
			awaitHangUp(r)
			return
		}
		tokens[r.Method+" "+r.URL.Path] = r.Header.Values(api.LockHeader)
		_, _ = io.WriteString(w, "null")
	})
	held, err := c.Lock(t.Context(), "web", "somebody")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Abandon()
	for _, err := range []error{
		held.Scale(t.Context(), bluegreen.Blue, 2),
		held.Erase(t.Context()),
		errOf(c.Deployment(t.Context(), "web")),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	for request, want := range map[string][]string{
		"PUT /v1/deployments/web/environments/blue/size": {"a token"},
		"DELETE /v1/deployments/web":                     {"a token"},
		"GET /v1/deployments/web":                        nil,
	} {
		if got, made := tokens[request]; !made || !slices.Equal(got, want) {
			t.Errorf("%s carries %q, made: %t", request, got, made)
		}
	}
}

func TestChangeWithoutAnAgentHasLostItsLock(t *testing.T) {
	t.Parallel()
	dir := shortTempDir(t)
	c := clientIn(t, dir, func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(api.LockReply{Token: "a token"})
		_ = http.NewResponseController(w).Flush()
		awaitHangUp(r)
	})
	held, err := c.Lock(t.Context(), "web", "somebody")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Abandon()
	if err := os.Remove(filepath.Join(dir, "agent.sock")); err != nil {
		t.Fatal(err)
	}
	err = held.Scale(t.Context(), bluegreen.Blue, 2)
	if !errors.Is(err, client.ErrLockLost) || !errors.Is(err, client.ErrNotRunning) {
		t.Errorf("a change ends with %v", err)
	}
}

func TestLockThatIsCancelledIsNotHeld(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]bool{"before the answer": false, "with the answer": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			reason := errors.New("enough")
			hungUp := make(chan struct{})
			c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
				if answer {
					_, _ = io.WriteString(w, `{"token":`)
					_ = http.NewResponseController(w).Flush()
				}
				cancel(reason)
				awaitHangUp(r)
				close(hungUp)
			})
			if held, err := c.Lock(ctx, "web", "somebody"); held != nil || !errors.Is(err, reason) {
				t.Errorf("the lock is %v, %v", held, err)
			}
			<-hungUp
		})
	}
}

// ctx bounds the attempt to get a lock, and not the lock.
func TestLockOutlivesTheAttempt(t *testing.T) {
	t.Parallel()
	hungUp := make(chan struct{})
	var isUnlocked atomic.Bool
	c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodDelete:
			isUnlocked.Store(true)
			return
		case http.MethodPut:
			return
		}
		_ = json.NewEncoder(w).Encode(api.LockReply{Token: "a token"})
		_ = http.NewResponseController(w).Flush()
		awaitHangUp(r)
		close(hungUp)
	})
	ctx, cancel := context.WithCancel(t.Context())
	held, err := c.Lock(ctx, "web", "somebody")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := held.Commit(t.Context(), bluegreen.NewLedger("web"), nil, store.Frontend{}, nil); err != nil {
		t.Errorf("a change under the lock: %v", err)
	}
	select {
	case <-hungUp:
		t.Error("the lock ended with the attempt")
	default:
	}
	held.Unlock()
	if !isUnlocked.Load() {
		t.Error("the lock is given up, but the agent was not asked to give it to others")
	}
	<-hungUp
	held.Unlock()
	held.Abandon()
}

func TestReplicaIsNotDialledForSomebodyWhoHasGivenUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c := client.NewRemote(func(ctx context.Context) (net.Conn, error) {
		cancel()
		<-ctx.Done()
		return nil, context.Cause(ctx)
	})
	t.Cleanup(c.Close)
	conn, err := c.DialReplica(ctx, "web", bluegreen.Green, bluegreen.InstanceRef{ID: "green-1"})
	if conn != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("a replica is dialled: %v, %v", conn, err)
	}
}
