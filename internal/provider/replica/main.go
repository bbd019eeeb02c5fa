// SPDX-License-Identifier: MPL-2.0

// Replica is the service that the provider's tests deploy on every platform. In a
// container its program is the only file of the image. It answers GET / with its
// version.
//
// REPLICA chooses its behavior: "sick" fails every health check, GET /healthz,
// "sickens" passes only the first one that no kubelet makes, "guarded" passes those with the
// header Probe-Token: open-sesame, and "dies" exits with status 3 before it listens. It
// logs a long line, and what a terminal acts on. After POST /sicken it fails every health
// check too. After POST /fail it answers with 503 only, and says in the header Failed-Probes
// how many health checks it has failed. GET /forwarded answers with what it is told of the
// client, GET /headers with the whole header of the request as JSON, GET /silent with
// nothing at all, and POST /upload once it has read the
// body. GET /ws is a WebSocket that sends each message back.
//
// It prints SECRET when it starts, and answers with it when it fails a health check.
// "/replica check" is the HEALTHCHECK of an image, which passes until "/replica fail-checks" was
// called in the container. Other arguments do nothing.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coder/websocket"
)

// failChecksFile exists if the HEALTHCHECK must fail.
const failChecksFile = "/fail-checks"

func main() {
	if len(os.Args) > 1 {
		if command := commands[os.Args[1]]; command != nil {
			if err := command(); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			return
		}
	}
	behavior := os.Getenv("REPLICA")
	fmt.Println("starting", os.Getenv("BLUEGREEN_VERSION"), os.Getenv("SECRET"))
	if behavior == "dies" {
		long := strings.Repeat("long", 25_000)
		// Not more: Docker reads what a container has left in its pipe for two seconds only.
		fmt.Println(strings.Repeat(long, 3))
		for i := range 30 {
			fmt.Println("line", i)
		}
		fmt.Println("\x1b[2J\x1b]0;owned\x07"+long+"\n\x1b[31mno database\x1b[0m", os.Getenv("SECRET"))
		os.Exit(3)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	server := &http.Server{
		Addr:              net.JoinHostPort(os.Getenv("HOST"), os.Getenv("PORT")),
		Handler:           handler(behavior),
		ReadHeaderTimeout: time.Minute,
	}
	context.AfterFunc(ctx, func() { server.Close() })
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		fmt.Println(err)
		os.Exit(1)
	}
}

// commands are what it runs instead of the service. The service ignores all other
// arguments.
var commands = map[string]func() error{
	"fail-checks": func() error { return os.WriteFile(failChecksFile, nil, 0o600) },
	"check": func() error {
		if _, err := os.Stat(failChecksFile); err == nil {
			return errors.New("the checks must fail")
		}
		return nil
	},
}

func handler(behavior string) http.Handler {
	var probes, failed atomic.Int64
	var isIll, isSick atomic.Bool
	isSick.Store(behavior == "sick")
	mux := http.NewServeMux()
	mux.HandleFunc("POST /fail", func(http.ResponseWriter, *http.Request) { isIll.Store(true) })
	mux.HandleFunc("POST /sicken", func(http.ResponseWriter, *http.Request) { isSick.Store(true) })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		if isIll.Load() {
			w.Header().Set("Failed-Probes", strconv.FormatInt(failed.Load(), 10))
			http.Error(w, "ill", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, os.Getenv("BLUEGREEN_VERSION"))
	})
	mux.HandleFunc("GET /forwarded", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("X-Forwarded-For"), " ", r.Header.Get("X-Forwarded-Proto"))
	})
	mux.HandleFunc("GET /headers", func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Host", r.Host)
		// The only error is that the client is gone.
		_ = json.NewEncoder(w).Encode(r.Header)
	})
	mux.HandleFunc("GET /ws", echo)
	mux.HandleFunc("GET /silent", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("POST /upload", func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		// A kubelet probes as well, at its own times.
		if !strings.HasPrefix(r.UserAgent(), "kube-probe/") {
			probes.Add(1)
		}
		isRefused := behavior == "guarded" && r.Header.Get("Probe-Token") != "open-sesame"
		if isRefused || isSick.Load() || isIll.Load() || (behavior == "sickens" && probes.Load() > 1) {
			failed.Add(1)
			http.Error(w, strings.TrimSpace("sick "+os.Getenv("SECRET")), http.StatusServiceUnavailable)
		}
	})
	return mux
}

// echo sends the messages of a WebSocket back until its client closes it.
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
