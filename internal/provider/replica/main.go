// SPDX-License-Identifier: MPL-2.0

// Replica is the service that the provider's tests deploy on every platform, in
// containers alone in an image. It answers GET / with its version.
//
// REPLICA says how it fares: "sick" fails every health check, GET /healthz,
// "sickens" passes the first one only, and "dies" ends it with exit status 3
// before it listens. SECRET is something that it prints when it starts. As
// "/replica check" it is the HEALTHCHECK of an image, which passes until
// "/replica spoil" was called in the container; other arguments do nothing.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// spoiled is there once the check is to fail.
const spoiled = "/spoiled"

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
	conduct := os.Getenv("REPLICA")
	fmt.Println("starting", os.Getenv("BLUEGREEN_VERSION"), os.Getenv("SECRET"))
	if conduct == "dies" {
		fmt.Println("no database")
		os.Exit(3)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	server := &http.Server{
		Addr:              net.JoinHostPort(os.Getenv("HOST"), os.Getenv("PORT")),
		Handler:           handler(conduct),
		ReadHeaderTimeout: time.Minute,
	}
	context.AfterFunc(ctx, func() { server.Close() })
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		fmt.Println(err)
		os.Exit(1)
	}
}

// commands are what it does in the place of serving. Any other argument is one of
// the service.
var commands = map[string]func() error{
	"spoil": func() error { return os.WriteFile(spoiled, nil, 0o600) },
	"check": func() error {
		if _, err := os.Stat(spoiled); err == nil {
			return errors.New("spoiled")
		}
		return nil
	},
}

func handler(conduct string) http.Handler {
	var probes atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, os.Getenv("BLUEGREEN_VERSION"))
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if n := probes.Add(1); conduct == "sick" || (conduct == "sickens" && n > 1) {
			http.Error(w, "sick", http.StatusServiceUnavailable)
		}
	})
	return mux
}
