// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agenttest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// The variables of a release that say how its replicas listen. Without any they listen at once,
// in their own process, where PORT says.
const (
	gateVariable   = "BLUEGREEN_TEST_GATE"
	portVariable   = "BLUEGREEN_TEST_PORT"
	workerVariable = "BLUEGREEN_TEST_WORKERS"
)

// Gate holds up the replicas of a release before they listen.
type Gate struct {
	testing.TB
	dir string
}

// HoldUp returns a gate, which is closed, for the replicas of release.
func HoldUp(t testing.TB, release bluegreen.Release) Gate {
	t.Helper()
	g := Gate{t, t.TempDir()}
	release.Env[gateVariable] = g.dir
	return g
}

// Open lets the replicas listen.
func (g Gate) Open() {
	g.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, "open"), nil, 0o600); err != nil {
		g.Fatal(err)
	}
}

// Close holds up the replicas that start from now on.
func (g Gate) Close() {
	g.Helper()
	if err := os.Remove(filepath.Join(g.dir, "open")); err != nil {
		g.Fatal(err)
	}
	waiting, _ := filepath.Glob(filepath.Join(g.dir, "port-*"))
	for _, path := range waiting {
		if err := os.Remove(path); err != nil {
			g.Fatal(err)
		}
	}
}

// AwaitReplica waits until a replica is at the gate, and returns the port where it will listen.
func (g Gate) AwaitReplica() (port int) {
	g.Helper()
	Eventually(g, func() error {
		waiting, _ := filepath.Glob(filepath.Join(g.dir, "port-*"))
		if len(waiting) == 0 {
			return errors.New("no replica waits at the gate")
		}
		var err error
		port, err = strconv.Atoi(strings.TrimPrefix(filepath.Base(waiting[0]), "port-"))
		return err
	})
	return port
}

// passGate waits until the gate that the environment names is open.
func passGate(port string) error {
	dir := os.Getenv(gateVariable)
	if dir == "" {
		return nil
	}
	if err := os.WriteFile(filepath.Join(dir, "port-"+port), nil, 0o600); err != nil {
		return err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "open")); err == nil {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// ListenElsewhere makes the replicas of release listen on a port of their own choice.
func ListenElsewhere(release bluegreen.Release) { release.Env[portVariable] = "0" }

// ListenInWorkers makes each replica of release listen in two processes that share the port.
func ListenInWorkers(release bluegreen.Release) { release.Env[workerVariable] = "2" }

// listenAndServe listens as the environment says. A replica that cannot listen stays, as a
// program does that logs the error and tries again later.
func listenAndServe(handler http.Handler) error {
	port := os.Getenv("PORT")
	if err := passGate(port); err != nil {
		return err
	}
	if listener, err := passedListener(); err != nil || listener != nil {
		if err != nil {
			return err
		}
		return http.Serve(listener, handler)
	}
	if workers, _ := strconv.Atoi(os.Getenv(workerVariable)); workers > 0 {
		return runWorkers(workers)
	}
	config := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) (err error) {
		_ = conn.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		return err
	}}
	address := net.JoinHostPort(os.Getenv("HOST"), cmp.Or(os.Getenv(portVariable), port))
	listener, err := config.Listen(context.Background(), "tcp", address)
	if err != nil && os.Getenv(gateVariable) != "" {
		fmt.Fprintln(os.Stderr, err)
		select {}
	}
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", handler)
	mux.HandleFunc("/deafen", func(http.ResponseWriter, *http.Request) { listener.Close() })
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: mux, Protocols: protocols}
	err = server.Serve(listener)
	if errors.Is(err, net.ErrClosed) {
		select {} // Requests on connections that are open are answered still.
	}
	return err
}

// runWorkers runs processes of this program that listen.
func runWorkers(n int) error {
	ended := make(chan error)
	for range n {
		worker := exec.Command(os.Args[0])
		worker.Env = append(os.Environ(), workerVariable+"=")
		worker.Stdout, worker.Stderr = os.Stdout, os.Stderr
		if err := worker.Start(); err != nil {
			return err
		}
		go func() { ended <- worker.Wait() }()
	}
	return <-ended
}
