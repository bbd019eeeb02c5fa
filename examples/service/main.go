// SPDX-License-Identifier: MPL-2.0

// Service is a small HTTP service to deploy. It answers with its version, and can be slow,
// send a stream, or fail its health check. It uses only the standard library.
//
//	GET /                  {"version":"1.0.0","environment":"blue","replica":4711}
//	GET /healthz           200, or 503 when BROKEN=1
//	GET /slow?ms=500       the same answer as /, half a second later
//	GET /stream?every=500  one line every half second until either side ends it
//
// It listens on $HOST:$PORT (127.0.0.1:8080). On SIGTERM it stops once the requests in
// flight are answered. "service check" checks a service on the same machine, and exits with
// 0 if that service is healthy.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const defaultPort = "8080"

// shutdownTimeout is how long a request in flight may take after SIGTERM.
const shutdownTimeout = 10 * time.Second

// version is set with -ldflags "-X main.version=1.2.3".
var version = "dev"

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	command := run
	if len(os.Args) > 1 && os.Args[1] == "check" {
		command = checkSelf
	}
	if err := command(ctx); err != nil {
		log.Fatal(err)
	}
}

func checkSelf(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return check(ctx, ownAddress(setting("PORT", defaultPort)))
}

func run(ctx context.Context) error {
	address := net.JoinHostPort(setting("HOST", "127.0.0.1"), setting("PORT", defaultPort))
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	release := release{
		Version:     setting("APP_VERSION", setting("BLUEGREEN_VERSION", version)),
		Environment: os.Getenv("BLUEGREEN_ENVIRONMENT"),
		Replica:     os.Getpid(),
	}
	log.Printf("version %s listens on %s", release.Version, listener.Addr())
	return serve(ctx, listener, newHandler(release, os.Getenv("BROKEN") == "1", ctx.Done()))
}

// serve answers requests until ctx ends. It returns when those in flight are answered.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}

	shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(shutdown); err != nil {
		return fmt.Errorf("requests were still in flight after %s: %w", shutdownTimeout, err)
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func setting(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}
