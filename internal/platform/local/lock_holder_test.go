// SPDX-License-Identifier: MPL-2.0

//go:build unix

package local_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// holderVariable makes this binary a process that holds a lock, as a provider does. Its
// value is "DIR NAME".
const holderVariable = "BLUEGREEN_TEST_HOLDER"

func TestMain(m *testing.M) {
	if what := os.Getenv(holderVariable); what != "" && len(os.Args) == 1 {
		holdLock(what)
	}
	agenttest.Main(m)
}

func holdLock(what string) {
	dir, name, _ := strings.Cut(what, " ")
	p, err := local.New(local.Options{StateDir: dir, Name: name})
	if err == nil {
		_, err = p.Lock(context.Background(), "somebody@else")
	}
	fmt.Println(err)
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// lockHolder is a process that holds a lock.
type lockHolder struct{ kill func() }

// startLockHolder starts a lockHolder with these further variables and files, and returns when
// it holds the lock.
func startLockHolder(t *testing.T, dir, name string, environ []string, files ...*os.File) lockHolder {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(self)
	command.Env = append(append(os.Environ(), holderVariable+"="+dir+" "+name), environ...)
	command.ExtraFiles = files
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	kill := func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		stdin.Close()
	}
	t.Cleanup(kill)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "<nil>\n" {
		t.Fatalf("the holder says %q, %v", line, err)
	}
	return lockHolder{kill}
}

// unixSocket dials the agent that serves dir.
func unixSocket(dir string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "agent.sock"))
	}
}

// wantBody fails the test unless the response holds text.
func wantBody(t *testing.T, response *http.Response, text string) {
	t.Helper()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(body), text) {
		t.Errorf("%q is missing in\n%s", text, body)
	}
}
