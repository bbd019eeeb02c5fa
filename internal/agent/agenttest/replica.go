// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agenttest

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// modeVariable makes this binary a replica.
const modeVariable = "BLUEGREEN_TEST_REPLICA"

// Mode is how a replica behaves.
type Mode string

const (
	// Healthy replicas answer / with the version that is in their image, and
	// have a few more paths: see serve.
	Healthy Mode = "healthy"
	// Unhealthy replicas answer 503.
	Unhealthy Mode = "unhealthy"
	// Crashing replicas exit with status 3 at once.
	Crashing Mode = "crashing"
)

// versionFile is what an image holds.
const versionFile = "version.txt"

// Release returns a release of one replica that serves version from an image of
// its own, in a directory that lasts as long as the test.
func Release(t testing.TB, version string, mode Mode) bluegreen.Release {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, versionFile), []byte(version), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return bluegreen.Release{
		Version: version, Image: dir, Replicas: 1, Command: []string{self},
		Env: map[string]string{modeVariable: string(mode), "GOMAXPROCS": "1", raceVariable: raceOptions},
	}
}

// serve is a replica:
//
//	/         the version in the image
//	/sicken   has / answer 503 from then on
//	/hangup   has / close its connection without an answer from then on
//	/heal     ends both
//	/hang     writes a line, and the rest when the client has sent its body
//	/ws       a WebSocket that echoes
//	/fork     starts a child that would outlive the replica
//	/env      the variable named by the query
//	/exit     ends the replica with status 7
func serve(mode Mode) int {
	fmt.Printf("%s %s starts\n", os.Getenv("BLUEGREEN_ENVIRONMENT"), os.Getenv("BLUEGREEN_VERSION"))
	if mode == Crashing {
		fmt.Fprintln(os.Stderr, "cannot go on")
		return 3
	}
	var sick, hangsUp atomic.Bool
	sick.Store(mode == Unhealthy)
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		if hangsUp.Load() {
			panic(http.ErrAbortHandler)
		}
		if sick.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		version, err := os.ReadFile(versionFile)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(version)
	})
	mux.HandleFunc("/sicken", func(http.ResponseWriter, *http.Request) { sick.Store(true) })
	mux.HandleFunc("/hangup", func(http.ResponseWriter, *http.Request) { hangsUp.Store(true) })
	mux.HandleFunc("/heal", func(http.ResponseWriter, *http.Request) {
		sick.Store(false)
		hangsUp.Store(false)
	})
	mux.HandleFunc("/hang", hang)
	mux.HandleFunc("/ws", echo)
	mux.HandleFunc("/fork", fork)
	mux.HandleFunc("/env", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, os.Getenv(r.URL.RawQuery))
	})
	mux.HandleFunc("/exit", func(http.ResponseWriter, *http.Request) { os.Exit(7) })
	err := http.ListenAndServe(net.JoinHostPort(os.Getenv("HOST"), os.Getenv("PORT")), mux)
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func hang(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	if err := control.EnableFullDuplex(); err != nil {
		return
	}
	_, _ = io.WriteString(w, "begun\n")
	if control.Flush() != nil {
		return
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	_, _ = io.WriteString(w, "finished\n")
}

func echo(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	for {
		kind, message, err := conn.Read(r.Context())
		if err != nil || conn.Write(r.Context(), kind, message) != nil {
			return
		}
	}
}

func fork(w http.ResponseWriter, _ *http.Request) {
	child := exec.Command("sleep", "600")
	if err := child.Start(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprint(w, child.Process.Pid)
}
