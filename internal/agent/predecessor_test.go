// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agent

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
)

// playPredecessor plays an agent that hands over and then goes on: it closes the connection before
// it lets go, and listens as before. listening is what it serves dir with.
func playPredecessor(t *testing.T, dir store.Dir) (listening net.Listener) {
	t.Helper()
	lock, err := store.LockFile(dir.Lock())
	if err != nil || lock == nil {
		t.Fatal(lock, err)
	}
	t.Cleanup(func() { lock.Close() })
	listening, err = listenSocket(dir.Socket())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listening.Close() })
	go func() {
		for {
			conn, err := listening.Accept()
			if err != nil {
				return
			}
			if err := handOverHalf(conn, lock); err != nil {
				t.Error(err)
			}
			conn.Close()
		}
	}()
	return listening
}

// handOverHalf plays the hand-over until the successor says that it serves. It answers other
// requests with nothing.
func handOverHalf(conn net.Conn, lock *os.File) error {
	messages := bufio.NewReader(conn)
	request, err := http.ReadRequest(messages)
	if err != nil {
		return err
	}
	if request.Method == http.MethodGet {
		_, err := conn.Write([]byte("HTTP/1.1 204 No Content\r\n\r\n"))
		return err
	}
	const upgraded = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: bluegreen-handover\r\n" +
		handoverHeader + ": " + handoverVersion + "\r\n\r\n"
	if _, err := conn.Write([]byte(upgraded)); err != nil {
		return err
	}
	if err := expect(messages, messageReady); err != nil {
		return err
	}
	files, ok := conn.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("the connection is a %T", conn)
	}
	if err := sendFile(files, messageLock, lock); err != nil {
		return err
	}
	return expect(messages, messageServes)
}

// An agent that hands over may go on after all, such as when the hand-over takes too long. The one
// that was to take over ends, and has not taken its socket away: runs of Terraform still find it.
func TestSuccessorLeavesAnAgentThatGoesOn(t *testing.T) {
	t.Parallel()
	dir := newStateDir(t)
	playPredecessor(t, dir)
	before, err := os.Lstat(dir.Socket())
	if err != nil {
		t.Fatal(err)
	}
	written, err := startAgent(t, dir, "-take-over")()
	if err == nil || !strings.Contains(written, "the agent before goes on") {
		t.Errorf("the successor ends with %v, after %q", err, written)
	}
	after, err := os.Lstat(dir.Socket())
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("the socket of the agent that goes on is replaced, %v", err)
	}
}
