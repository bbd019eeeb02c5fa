// SPDX-License-Identifier: MPL-2.0

//go:build unix

package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// shortTempDir returns a private directory whose path is short enough for a Unix socket.
func shortTempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bg-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// clientOf returns a client of an agent that answers with handler.
func clientOf(t *testing.T, handler http.HandlerFunc) *client.Client {
	t.Helper()
	return clientIn(t, shortTempDir(t), handler)
}

// clientIn returns a client of an agent of dir that answers with handler.
func clientIn(t *testing.T, dir string, handler http.HandlerFunc) *client.Client {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", filepath.Join(dir, "agent.sock"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	c, err := client.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCancelledCallIsNotReportedAsNoAnswer(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(w http.ResponseWriter){
		"before the answer": func(http.ResponseWriter) {},
		"in the answer": func(w http.ResponseWriter) {
			_, _ = w.Write([]byte(`{"ledger":`))
			_ = http.NewResponseController(w).Flush()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			client := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
				begin(w)
				cancel()
				awaitHangUp(r)
			})
			_, err := client.Deployment(ctx, "web")
			if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "did not answer") {
				t.Errorf("a call that was cancelled ended with %q", err)
			}
		})
	}
}

func TestAgentThatHangsUpIsReportedAsNoAnswer(t *testing.T) {
	t.Parallel()
	client := clientOf(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	_, err := client.Deployment(t.Context(), "web")
	if err == nil || !strings.Contains(err.Error(), "the agent did not answer") {
		t.Errorf("a call without an answer ended with %v", err)
	}
}

func TestLogsAreAskedForAsManyAsWanted(t *testing.T) {
	t.Parallel()
	written := []string{"one", "two", "three", "four"}
	client := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.URL.Query().Get("n"))
		if err != nil || n > len(written) {
			n = len(written)
		}
		_ = json.NewEncoder(w).Encode(written[len(written)-n:])
	})
	got, err := client.Logs(t.Context(), "web", bluegreen.Green, "green-1", 2)
	if err != nil || !slices.Equal(got, []string{"three", "four"}) {
		t.Errorf("the last 2 lines are %q, %v", got, err)
	}
}

func TestLogsWithoutAnAgentAreLimited(t *testing.T) {
	t.Parallel()
	dir := shortTempDir(t)
	replica := filepath.Join(dir, "deployments", "web", "green", "replicas", "green-1")
	if err := os.MkdirAll(replica, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(replica, "output.log"), []byte("one\ntwo\r\nthree\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	offline, err := client.NewOffline(dir)
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int][]string{
		0: nil, 1: {"three"}, 2: {"two", "three"}, 3: {"one", "two", "three"}, 9: {"one", "two", "three"},
	} {
		if got, err := offline.Logs("web", bluegreen.Green, "green-1", n); err != nil || !slices.Equal(got, want) {
			t.Errorf("the last %d lines are %q, %v, want %q", n, got, err, want)
		}
	}
}

// An agent of an earlier version does not know the request to prepare an image. It copies
// the image when it provisions.
func TestAgentOfAnEarlierVersionPreparesNothing(t *testing.T) {
	t.Parallel()
	c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/lock") {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(`{"token":"t"}` + "\n"))
		_ = http.NewResponseController(w).Flush()
		awaitHangUp(r)
	})
	lock, err := c.Lock(t.Context(), "web", "ann")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	if digest, err := lock.Prepare(t.Context(), bluegreen.Release{Image: "/srv/web"}); digest != "" || err != nil {
		t.Errorf("got %q, %v", digest, err)
	}
	if kept, err := c.KeptSettings(t.Context(), "web"); !errors.Is(err, client.ErrUnknownRequest) {
		t.Errorf("its settings are %v, %v", kept, err)
	}
	if err := lock.Scale(t.Context(), bluegreen.Green, 2); err == nil {
		t.Error("another request that the agent does not know succeeds")
	}
}

// An agent of an earlier version would ignore a setting that it does not know.
func TestAgentOfAnEarlierVersionGetsNoSettingThatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	version := api.VersionReply{PID: 4711}
	c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/lock"):
			_ = json.NewEncoder(w).Encode(api.LockReply{Token: "t"})
			_ = http.NewResponseController(w).Flush()
			awaitHangUp(r)
		case strings.HasSuffix(r.URL.Path, "/version"):
			_ = json.NewEncoder(w).Encode(version)
		default:
			_ = json.NewEncoder(w).Encode(api.ProvisionReply{Digest: "sha256:d"})
		}
	})
	lock, err := c.Lock(t.Context(), "web", "ann")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Abandon()
	user, links := client.Settings{User: "jo"}, client.Settings{FollowLinks: true}
	for _, step := range []struct {
		heedsSettings, followsLinks bool
		settings                    client.Settings
		says                        string
	}{
		{false, false, client.Settings{}, ""},
		{false, false, user, "settings such as user"},
		{false, false, links, "settings such as user"},
		{true, false, user, ""},
		{true, false, links, "follow_links"},
		{true, true, links, ""},
	} {
		version.HeedsSettings, version.FollowsLinks = step.heedsSettings, step.followsLinks
		release := bluegreen.Release{Image: "/srv/web", Settings: step.settings}
		_, prepared := lock.Prepare(t.Context(), release)
		_, provisioned := lock.Provision(t.Context(), bluegreen.Green, release, "")
		for what, err := range map[string]error{"prepare": prepared, "provision": provisioned} {
			isExpected := step.says == "" && err == nil ||
				step.says != "" && err != nil && strings.Contains(err.Error(), step.says)
			if !isExpected {
				t.Errorf("%s with %+v: %v", what, step, err)
			}
		}
	}
}
