// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// release is the service's answer about itself.
type release struct {
	Version     string `json:"version"`
	Environment string `json:"environment,omitempty"`
	Replica     int    `json:"replica"`
}

// newHandler returns the handler of the release. A stream ends when stopping is closed, or
// when its client closes it.
func newHandler(r release, broken bool, stopping <-chan struct{}) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", r.identify)
	mux.HandleFunc("GET /slow", r.slow)
	mux.HandleFunc("GET /stream", func(w http.ResponseWriter, req *http.Request) {
		r.stream(w, req, stopping)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if broken {
			http.Error(w, "broken on demand", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}

func (r release) identify(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	// The only error is that the client is gone.
	_ = json.NewEncoder(w).Encode(r)
}

func (r release) slow(w http.ResponseWriter, req *http.Request) {
	delay, err := milliseconds(req, "ms", 1000)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	select {
	case <-time.After(delay):
		r.identify(w, req)
	case <-req.Context().Done():
	}
}

func (r release) stream(w http.ResponseWriter, req *http.Request, stopping <-chan struct{}) {
	every, err := milliseconds(req, "every", 1000)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for line := 1; ; line++ {
		fmt.Fprintf(w, "%d %s %s\n", line, r.Version, r.Environment)
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-stopping:
			return
		case <-req.Context().Done():
			return
		}
	}
}

// milliseconds returns a duration between a millisecond and a minute from the query.
func milliseconds(req *http.Request, name string, fallback int) (time.Duration, error) {
	value := req.URL.Query().Get(name)
	if value == "" {
		return time.Duration(fallback) * time.Millisecond, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > 60_000 {
		return 0, fmt.Errorf("%s=%s: want a number of milliseconds from 1 to 60000", name, value)
	}
	return time.Duration(n) * time.Millisecond, nil
}
