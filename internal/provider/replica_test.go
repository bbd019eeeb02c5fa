// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// The service that the tests deploy answers GET / with its version. REPLICA says
// how it fares, and SECRET is something that it prints when it starts.
const (
	// fit passes every health check.
	fit = ""
	// sick fails every health check.
	sick = "sick"
	// sickens passes its first health check and fails those that follow.
	sickens = "sickens"
	// dies ends with exit status 3 before it listens.
	dies = "dies"
)

// replicaScript writes the image of that service: a small script, so that the
// copy which the agent makes of it is small as well.
func replicaScript(t *testing.T, dir string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "service")
	if err := os.WriteFile(script, fmt.Appendf(nil, "#!/bin/sh\nexec %q replica\n", self), 0o700); err != nil {
		t.Fatal(err)
	}
	return script
}

func runReplica() int {
	conduct := os.Getenv("REPLICA")
	fmt.Println("starting", os.Getenv("BLUEGREEN_VERSION"), os.Getenv("SECRET"))
	if conduct == dies {
		fmt.Println("no database")
		return 3
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var probes atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, os.Getenv("BLUEGREEN_VERSION"))
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if n := probes.Add(1); conduct == sick || (conduct == sickens && n > 1) {
			http.Error(w, "sick", http.StatusServiceUnavailable)
		}
	})
	listener, err := net.Listen("tcp", net.JoinHostPort(os.Getenv("HOST"), os.Getenv("PORT")))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	context.AfterFunc(ctx, func() { server.Close() })
	_ = server.Serve(listener)
	return 0
}
