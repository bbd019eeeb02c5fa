// SPDX-License-Identifier: MPL-2.0

// Replica is the service that the tests of the Kubernetes platform deploy. It is the only
// program in its image.
//
//	/         answers with the version, or with 503 once it is unhealthy; the header
//	          Replica names the pod
//	/sicken   makes it unhealthy
//	/hangup   has / close its connection without an answer from then on
//	/heal     ends both
//	/exit     ends it with status 7
//	/slow     answers with the version, after the duration in the query
//
// If the variable BEHAVIOUR is "unhealthy", it is unhealthy from the start. If it is
// "crashing", it exits at once with status 3. BOOT is how long it takes until it listens.
// If the program is called "true" or "false", it does what that command does.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	switch filepath.Base(os.Args[0]) {
	case "true":
		return
	case "false":
		fmt.Println("so it is")
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	fmt.Printf("%s %s starts\n", os.Getenv("BLUEGREEN_ENVIRONMENT"), os.Getenv("BLUEGREEN_VERSION"))
	if os.Getenv("BEHAVIOUR") == "crashing" {
		fmt.Fprintln(os.Stderr, "cannot go on")
		os.Exit(3)
	}
	if err := serve(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve ends when ctx ends and the requests in flight are answered.
func serve(ctx context.Context) error {
	boot, err := duration(os.Getenv("BOOT"))
	if err != nil {
		return err
	}
	select {
	case <-time.After(boot):
	case <-ctx.Done():
		return nil
	}
	address := net.JoinHostPort("", os.Getenv("PORT"))
	server := &http.Server{Addr: address, Handler: handler(), ReadHeaderTimeout: time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	if err := server.Shutdown(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func handler() http.Handler {
	var sick, hangsUp atomic.Bool
	sick.Store(os.Getenv("BEHAVIOUR") == "unhealthy")
	version := func(w http.ResponseWriter) {
		if hangsUp.Load() {
			panic(http.ErrAbortHandler)
		}
		if sick.Load() {
			http.Error(w, "sick", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Replica", os.Getenv("HOSTNAME"))
		// The client may be gone; there is nothing to do about it.
		_, _ = io.WriteString(w, os.Getenv("BLUEGREEN_VERSION"))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) { version(w) })
	mux.HandleFunc("/sicken", func(http.ResponseWriter, *http.Request) { sick.Store(true) })
	mux.HandleFunc("/hangup", func(http.ResponseWriter, *http.Request) { hangsUp.Store(true) })
	mux.HandleFunc("/heal", func(http.ResponseWriter, *http.Request) {
		sick.Store(false)
		hangsUp.Store(false)
	})
	mux.HandleFunc("/exit", func(http.ResponseWriter, *http.Request) { os.Exit(7) })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		delay, err := duration(r.URL.RawQuery)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		time.Sleep(delay)
		version(w)
	})
	return mux
}

func duration(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	return time.ParseDuration(text)
}
