// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/images"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/socket"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// testAgent is a client of an agent without a process of its own.
type testAgent struct {
	*client.Client
	dir store.Dir
	// edit, if not nil, changes what the client sends.
	edit func(*http.Request)
}

// serveHandler makes handler the agent of a state directory and returns its client.
func serveHandler(t *testing.T, handler func(dir store.Dir) http.Handler) *testAgent {
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
	dir := store.Dir(path)
	if err := dir.Prepare(); err != nil {
		t.Fatal(err)
	}
	listener, err := listenSocket(dir.Socket())
	if err != nil {
		t.Fatal(err)
	}
	served, inner := &testAgent{dir: dir}, handler(dir)
	var requests sync.WaitGroup
	server := newServer(t.Context(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		defer requests.Done()
		if served.edit != nil {
			served.edit(r)
		}
		inner.ServeHTTP(w, r)
	}))
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		// The end of a lock writes to the directory, which goes next.
		requests.Wait()
	})
	if served.Client, err = client.New(path); err != nil {
		t.Fatal(err)
	}
	return served
}

// newTestAgent serves a real agent without a process of its own.
func newTestAgent(t *testing.T) *testAgent {
	t.Helper()
	return newTestAgentWith(t, nil)
}

// newTestAgentWith is newTestAgent for an agent with access to an engine.
func newTestAgentWith(t *testing.T, host engine) *testAgent {
	t.Helper()
	return serveHandler(t, func(dir store.Dir) http.Handler {
		log := slog.New(slog.DiscardHandler)
		opened, err := openStateDir(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		a, err := openAgent(opened, log, longTimeout, func() {}, nil, host, nil, process.DefaultPorts)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			a.processes.Hold()
			a.letGo()
			a.shutdown(context.Background())
		})
		return a.handler()
	})
}

func TestProviderNewerThanTheAgentSaysSo(t *testing.T) {
	t.Parallel()
	c := newTestAgent(t)
	c.edit = func(r *http.Request) { r.Header.Set(api.VersionHeader, strconv.Itoa(api.Version+1)) }
	for what, err := range map[string]error{
		"reading": errOf(c.Deployment(t.Context(), "web")),
		"locking": errOf(c.LaunchAndLock(t.Context(), []string{"/bin/false"}, "web", "somebody")),
	} {
		var version *api.VersionError
		want := api.VersionError{Agent: api.Version, Provider: api.Version, PID: os.Getpid()}
		if !errors.As(err, &version) || *version != want {
			t.Fatalf("%s: %v", what, err)
		}
		for _, text := range []string{
			"the agent speaks API 1, this provider needs 1", "restart the agent", "kill " + strconv.Itoa(os.Getpid()),
		} {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %q is missing in %q", what, text, err)
			}
		}
	}
}

func errOf[T any](_ T, err error) error { return err }

// An error means the same on both sides of the socket.
func TestErrorsSurviveTheWire(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, sent := range []error{
		bluegreen.ErrNotFound, fmt.Errorf("%w: generation 3 cannot follow 1", bluegreen.ErrStale),
		fmt.Errorf("web: %w", api.ErrLockLost), api.ErrLeaving, errors.New("something else"),
		&bluegreen.LockedError{Holder: bluegreen.Holder{Name: "somebody", Since: since}},
		&durable.UnreadableError{Path: "/a/b", Err: errors.New("it is short")},
		&images.Error{Path: "/a/b", Err: errors.New("it leaves the archive")},
		&socket.AddressError{Address: "127.0.0.1:1", Preview: true, Deployment: "other", Err: errors.New("taken")},
	} {
		got := api.FailureOf(fmt.Errorf("wrapped: %w", sent)).Err()
		if !strings.Contains(got.Error(), sent.Error()) {
			t.Errorf("%q arrives as %q", sent, got)
		}
		for _, sentinel := range []error{bluegreen.ErrNotFound, bluegreen.ErrStale, api.ErrLockLost, api.ErrLeaving} {
			if errors.Is(got, sentinel) != errors.Is(sent, sentinel) {
				t.Errorf("%v: errors.Is %v is %t", sent, sentinel, errors.Is(got, sentinel))
			}
		}
		want, have := fmt.Sprintf("%T", sent), fmt.Sprintf("%T", got)
		if strings.HasSuffix(want, "Error") && !strings.HasPrefix(want, "*fmt") && want != have {
			t.Errorf("%s arrives as %s", want, have)
		}
	}
}

func TestChangesNeedTheLock(t *testing.T) {
	t.Parallel()
	c := newTestAgent(t)
	forged, err := c.Lock(t.Context(), "web", "somebody")
	if err != nil {
		t.Fatal(err)
	}
	defer forged.Unlock()
	c.edit = func(r *http.Request) { r.Header.Set(api.LockHeader, "guess") }
	defer func() { c.edit = nil }()
	l := bluegreen.NewLedger("web")
	l.Generation = 1
	release := bluegreen.Release{Image: "/bin/true", Replicas: 1}
	for what, err := range map[string]error{
		"Commit":    forged.Commit(t.Context(), l, nil, store.Frontend{}, nil),
		"Erase":     forged.Erase(t.Context()),
		"Provision": errOf(forged.Provision(t.Context(), bluegreen.Blue, release, "")),
		"Scale":     forged.Scale(t.Context(), bluegreen.Blue, 1),
		"Remove":    forged.Remove(t.Context(), bluegreen.Blue),
	} {
		if !errors.Is(err, api.ErrLockLost) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := c.Deployment(t.Context(), "web"); !errors.Is(err, bluegreen.ErrNotFound) {
		t.Errorf("something was made: %v", err)
	}
}

func TestEnormousRequestIsRefused(t *testing.T) {
	t.Parallel()
	c := newTestAgent(t)
	if _, err := c.Lock(t.Context(), "web", strings.Repeat("x", api.MaxBody)); err == nil {
		t.Error("it is taken")
	}
}

func TestAgentThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	c, err := client.New(t.TempDir() + "/s")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.LaunchAndLock(t.Context(), []string{"/bin/sh", "-c", "echo out of luck >&2; exit 4"}, "web", "ada")
	for _, text := range []string{"exit status 4", "out of luck", "agent.log"} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want an error that says %q", err, text)
		}
	}
}

func TestSecondAgentLeavesQuietly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/s"
	if err := store.Dir(dir).Prepare(); err != nil {
		t.Fatal(err)
	}
	first := flock.New(store.Dir(dir).Lock())
	if locked, err := first.TryLock(); err != nil || !locked {
		t.Fatalf("locked: %t, %v", locked, err)
	}
	defer first.Close()
	listener, err := listenSocket(store.Dir(dir).Socket())
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	// Whatever it answers, it serves. Serve ends with the listener.
	go func() { _ = http.Serve(listener, http.NotFoundHandler()) }()
	if status := Main([]string{"-state-dir", dir}); status != 0 {
		t.Errorf("it exits with %d", status)
	}
	for argument, want := range map[string]int{"-help": 0, "-unknown": 2, "surplus": 2, "-state-dir=/dev/null/x": 1} {
		if status := Main([]string{argument}); status != want {
			t.Errorf("%s: it exits with %d, want %d", argument, status, want)
		}
	}
}
