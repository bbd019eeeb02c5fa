// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is a running service with a client.
type service struct {
	url    string
	client *http.Client
	stop   context.CancelFunc
	ended  chan error
}

func start(t *testing.T, broken bool) *service {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	transport := &http.Transport{}
	s := &service{
		url:    "http://" + listener.Addr().String(),
		client: &http.Client{Transport: transport},
		stop:   stop,
		ended:  make(chan error, 1),
	}
	go func() {
		handler := newHandler(release{Version: "1.2.3", Environment: "blue", Replica: 7}, broken, ctx.Done())
		s.ended <- serve(ctx, listener, handler)
	}()
	t.Cleanup(func() {
		stop()
		transport.CloseIdleConnections()
	})
	return s
}

func (s *service) get(t *testing.T, path string) (int, string) {
	t.Helper()
	response, err := s.client.Get(s.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestAnswersWithItsRelease(t *testing.T) {
	t.Parallel()
	s := start(t, false)
	for _, path := range []string{"/", "/slow?ms=1"} {
		status, body := s.get(t, path)
		var got release
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatalf("GET %s: %v in %q", path, err, body)
		}
		want := release{Version: "1.2.3", Environment: "blue", Replica: 7}
		if status != http.StatusOK || got != want {
			t.Errorf("GET %s: %d %+v, want 200 %+v", path, status, got, want)
		}
	}
}

func TestHealthDependsOnTheSetting(t *testing.T) {
	t.Parallel()
	for broken, want := range map[bool]int{false: http.StatusOK, true: http.StatusServiceUnavailable} {
		if status, body := start(t, broken).get(t, "/healthz"); status != want {
			t.Errorf("broken=%v: GET /healthz: %d %q, want %d", broken, status, body, want)
		}
	}
}

func TestCheckFailsForABrokenService(t *testing.T) {
	t.Parallel()
	for broken, want := range map[bool]string{false: "", true: "503"} {
		s := start(t, broken)
		got := ""
		if err := check(t.Context(), strings.TrimPrefix(s.url, "http://")); err != nil {
			got = err.Error()
		}
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("broken=%v: the check returns %q, want %q", broken, got, want)
		}
	}
}

func TestRefusesInvalidDelays(t *testing.T) {
	t.Parallel()
	s := start(t, false)
	for _, path := range []string{"/slow?ms=soon", "/slow?ms=0", "/stream?every=-1", "/slow?ms=60001"} {
		if status, body := s.get(t, path); status != http.StatusBadRequest {
			t.Errorf("GET %s: %d %q, want 400", path, status, body)
		}
	}
}

func TestStopsOnceRequestsAndStreamsHaveEnded(t *testing.T) {
	t.Parallel()
	s := start(t, false)
	response, err := s.client.Get(s.url + "/stream?every=1")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "1 1.2.3 blue") {
		t.Fatalf("first line of the stream: %q, %v", lines.Text(), lines.Err())
	}

	s.stop()

	for lines.Scan() {
	}
	if err := lines.Err(); err != nil {
		t.Errorf("the stream was cut instead of ended: %v", err)
	}
	if err := <-s.ended; err != nil {
		t.Errorf("the service ended with %v", err)
	}
}
