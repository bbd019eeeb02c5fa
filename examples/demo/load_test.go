// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLoadCountsEveryRequest(t *testing.T) {
	t.Parallel()
	var seen atomic.Int64
	enough := make(chan struct{})
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if seen.Add(1) == 50 {
			close(enough)
		}
		fmt.Fprint(w, `{"version":"1.0.0","environment":"green"}`)
	}))
	defer service.Close()

	l := startLoad(service.URL)
	<-enough
	l.stop()
	l.stop()

	got, total := l.current()
	if want := (answer{Version: "1.0.0", Environment: "green"}); got != want {
		t.Errorf("answering %+v, want %+v", got, want)
	}
	if int64(total.requests) != seen.Load() || total.failures != 0 {
		t.Errorf("counted %d requests, %d failed, of %d", total.requests, total.failures, seen.Load())
	}
}

func TestInvalidAnswerIsAFailure(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		cause   string
	}{
		"nothing serves": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}, "503"},
		"the answer breaks off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{"version":`)
		}, "broke off"},
		"another service answers": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "<html>")
		}, "not an answer of the service"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := httptest.NewServer(test.handler)
			defer service.Close()
			l := &load{url: service.URL}
			_, _ = l.sendOnNewConnection()
			_, total := l.current()
			if total.requests != 1 || total.failures != 1 || !strings.Contains(total.cause.Error(), test.cause) {
				t.Errorf("got %+v, want one failure because of %q", total, test.cause)
			}
		})
	}
}

func TestStepStatsStartAgainForTheNextStep(t *testing.T) {
	t.Parallel()
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"version":"1.0.0"}`)
	}))
	defer service.Close()
	l := &load{url: service.URL}

	_, _ = l.sendOnNewConnection()
	_, _ = l.sendOnNewConnection()
	if first := l.takeStepStats(); first.requests != 2 {
		t.Errorf("the first step has %d requests, want 2", first.requests)
	}
	_, _ = l.sendOnNewConnection()
	if second := l.takeStepStats(); second.requests != 1 {
		t.Errorf("the second step has %d requests, want 1", second.requests)
	}
	if _, total := l.current(); total.requests != 3 {
		t.Errorf("%d requests in all, want 3", total.requests)
	}
}
