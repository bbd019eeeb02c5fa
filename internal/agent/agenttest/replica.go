// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agenttest

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	grpchealth "google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

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
	// Stubborn replicas are healthy and do not end when they are asked to.
	Stubborn Mode = "stubborn"
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
//	/slow     has / take slowness for its answer from then on
//	/heal     ends all of these
//	/flap     has / follow a script of results: see flapping
//	/hang     writes a line, and the rest when the client has sent its body
//	/ws       a WebSocket that echoes
//	/events   a stream of events that are numbered from 0 and never end
//	/fork     starts a child that would outlive the replica
//	/env      the variable named by the query
//	/write    replaces the version in its directory by the query
//	/deepen   makes as many directories as the query says, each in the one before
//	/deafen   closes the socket that listens
//	/pid      the ID of its process
//	/exit     ends the replica with status 7
//
// It also serves grpc.health.v1.
func serve(mode Mode) int {
	fmt.Printf("%s %s starts\n", os.Getenv("BLUEGREEN_ENVIRONMENT"), os.Getenv("BLUEGREEN_VERSION"))
	if mode == Crashing {
		fmt.Fprintln(os.Stderr, "cannot go on")
		return 3
	}
	if mode == Stubborn {
		signal.Ignore(syscall.SIGTERM)
	}
	var sick, hangsUp, isSlow atomic.Bool
	sick.Store(mode == Unhealthy)
	var flaps flapping
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		if hangsUp.Load() {
			panic(http.ErrAbortHandler)
		}
		if isSlow.Load() {
			select {
			case <-r.Context().Done():
			case <-time.After(slowness):
			}
		}
		if flaps.isSick(w, r) || sick.Load() {
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
	for path, has := range map[string]*atomic.Bool{"/sicken": &sick, "/hangup": &hangsUp, "/slow": &isSlow} {
		mux.HandleFunc(path, func(http.ResponseWriter, *http.Request) { has.Store(true) })
	}
	mux.HandleFunc("/heal", func(http.ResponseWriter, *http.Request) {
		for _, has := range []*atomic.Bool{&sick, &hangsUp, &isSlow} {
			has.Store(false)
		}
	})
	mux.HandleFunc("/flap", func(_ http.ResponseWriter, r *http.Request) { flaps.begin(r.URL.RawQuery) })
	mux.HandleFunc("/hang", hang)
	mux.HandleFunc("/ws", echo)
	mux.HandleFunc("/events", sendEvents)
	mux.Handle("/"+healthpb.Health_ServiceDesc.ServiceName+"/", grpcService())
	mux.HandleFunc("/fork", fork)
	mux.HandleFunc("/write", func(w http.ResponseWriter, r *http.Request) {
		if err := os.WriteFile(versionFile, []byte(r.URL.RawQuery), 0o600); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("/deepen", deepen)
	mux.HandleFunc("/env", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, os.Getenv(r.URL.RawQuery))
	})
	mux.HandleFunc("/pid", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getpid()) })
	mux.HandleFunc("/exit", func(http.ResponseWriter, *http.Request) { os.Exit(7) })
	err := listenAndServe(mux)
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func grpcService() http.Handler {
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, grpchealth.NewServer())
	return server
}

// eventInterval is the time from one event to the next.
const eventInterval = 10 * time.Millisecond

func sendEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	ticker := time.NewTicker(eventInterval)
	defer ticker.Stop()
	for n := 0; ; n++ {
		fmt.Fprintf(w, "data: %d\n\n", n)
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-ticker.C:
		}
	}
}

// slowness is how long a slow replica takes for an answer.
const slowness = 3 * time.Second

// ProbesHeader is in the answers of a replica that follows a script: how many probes it has
// answered since the script began.
const ProbesHeader = "Bluegreen-Test-Probes"

// flapping is a script of the results of probes, such as "ffp": f for a failure, p for a
// pass, which goes on after the end. Between two probes clients get the result of the last one.
// Only probes have an Authorization header.
type flapping struct {
	mu     sync.Mutex
	script string
	probes int
}

func (f *flapping) begin(script string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.script, f.probes = script, 0
}

// isSick reports whether the answer to r is a failure.
func (f *flapping) isSick(w http.ResponseWriter, r *http.Request) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.script == "" {
		return false
	}
	if r.Header.Get("Authorization") != "" {
		f.probes++
	}
	w.Header().Set(ProbesHeader, strconv.Itoa(f.probes))
	return f.probes > 0 && f.probes <= len(f.script) && f.script[f.probes-1] == 'f'
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

func deepen(w http.ResponseWriter, r *http.Request) {
	levels, err := strconv.Atoi(r.URL.RawQuery)
	if err == nil {
		err = makeLevels(levels)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, "%d levels", levels)
}

func makeLevels(levels int) error {
	at, err := os.OpenRoot(".")
	for ; err == nil && levels > 0; levels-- {
		above := at
		if err = above.Mkdir("directory", 0o700); err == nil {
			at, err = above.OpenRoot("directory")
		}
		above.Close()
	}
	if err != nil {
		return err
	}
	at.Close()
	return nil
}
