// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agenttest

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// thiefVariable makes this binary a thief of the port that it holds.
const thiefVariable = "BLUEGREEN_TEST_THIEF"

// nobody is the user that a thief is if the test runs as root.
const nobody = 65534

// Thief is a process of nobody's that listens on a port which is meant for a replica.
type Thief struct {
	PID int
	// Address is where it listens.
	Address string
	end     func()

	mu    sync.Mutex
	heard []string
}

// Steal starts a thief, and returns when it listens on the port of 127.0.0.1.
func Steal(t testing.TB, port int) *Thief {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), fmt.Sprintf("%s=%d", thiefVariable, port))
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	thief := &Thief{PID: command.Process.Pid, Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	lines := bufio.NewScanner(output)
	if !lines.Scan() {
		t.Fatal("the thief does not listen")
	}
	listened := make(chan struct{})
	go func() {
		defer close(listened)
		for lines.Scan() {
			thief.mu.Lock()
			thief.heard = append(thief.heard, lines.Text())
			thief.mu.Unlock()
		}
	}()
	thief.end = sync.OnceFunc(func() {
		_ = command.Process.Kill()
		<-listened
		_ = command.Wait()
	})
	t.Cleanup(thief.end)
	return thief
}

// End ends the thief, and returns the first lines of what was sent to it.
func (t *Thief) End() []string {
	t.end()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.heard
}

// steal listens on the port, prints the first line of whatever it is sent, and answers like a
// healthy replica. It returns why it cannot.
func steal(port string) error {
	if os.Getuid() == 0 {
		if err := syscall.Setuid(nobody); err != nil {
			return err
		}
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return err
	}
	fmt.Println("listens")
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			if line, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
				fmt.Println(strings.TrimSpace(line))
				_, _ = fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen")
			}
		}()
	}
}
