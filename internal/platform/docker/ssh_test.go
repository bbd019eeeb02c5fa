// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
)

// startSSHD starts an SSH server on loopback with a key of its own.
func startSSHD(t *testing.T) Connection {
	t.Helper()
	server, err := exec.LookPath("sshd")
	if err != nil {
		// The directory is not in the PATH of every user.
		server, err = exec.LookPath("/usr/sbin/sshd")
	}
	if err != nil {
		skipOrFail(t, "there is no sshd on this machine")
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, key := range []string{"host", "user"} {
		keygen := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key))
		if output, err := keygen.CombinedOutput(); err != nil {
			t.Fatalf("creating a key: %v: %s", err, output)
		}
	}
	address := agenttest.FreeAddress(t)
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	ensurePrivilegesDir(t)
	// sshd must be started with an absolute path.
	process := exec.Command(server, "-D", "-e", "-f", "/dev/null", "-p", port, "-h", filepath.Join(dir, "host"),
		"-o", "ListenAddress="+host, "-o", "AuthorizedKeysFile="+filepath.Join(dir, "user.pub"), "-o", "StrictModes=no",
		"-o", "PermitRootLogin=prohibit-password", "-o", "PasswordAuthentication=no",
		"-o", "PidFile=none", "-o", "SetEnv=PATH="+os.Getenv("PATH"))
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The exit status does not matter.
		_ = process.Process.Kill()
		_ = process.Wait()
	})
	agenttest.Eventually(t, func() error {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err
	})
	return Connection{
		Host: fmt.Sprintf("ssh://%s@%s", me.Username, address),
		SSHOptions: []string{"-i", filepath.Join(dir, "user"), "-F", "/dev/null", "-o", "IdentitiesOnly=yes",
			"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
			"-o", "BatchMode=yes", "-o", "LogLevel=ERROR"},
	}
}

// privileges is the directory that sshd requires when root runs it. The service manager
// creates the directory. If it has not, the tests create it, and remove it at the end.
var privileges = struct {
	sync.Mutex
	dir     string
	users   int
	created bool
}{dir: "/run/sshd"}

func ensurePrivilegesDir(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	privileges.Lock()
	defer privileges.Unlock()
	err := os.Mkdir(privileges.dir, 0o755)
	if err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
	privileges.created = privileges.created || err == nil
	privileges.users++
	t.Cleanup(func() {
		privileges.Lock()
		defer privileges.Unlock()
		if privileges.users--; privileges.users > 0 || !privileges.created {
			return
		}
		privileges.created = false
		if err := os.Remove(privileges.dir); err != nil {
			t.Error(err)
		}
	})
}

// skipOrFail ends a test that this machine cannot run. The test fails if the Docker tests
// are required, and is skipped otherwise.
func skipOrFail(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("BLUEGREEN_REQUIRE_DOCKER") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func TestDeploymentOverSSH(t *testing.T) {
	t.Parallel()
	h := newHarnessAt(t, startSSHD(t))
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	s.deployLive("2.0.0")
	s.must(s.Rollback(t.Context(), "over there"))
	s.expectVersion("1.0.0")
}

func TestSSHFailuresSayWhy(t *testing.T) {
	t.Parallel()
	refused := startSSHD(t)
	refused.SSHOptions = append([]string{"-o", "IdentityAgent=none", "-i", "/dev/null"}, refused.SSHOptions[2:]...)
	closed := Connection{
		Host:       "ssh://somebody@" + agenttest.FreeAddress(t),
		SSHOptions: []string{"-F", "/dev/null", "-o", "BatchMode=yes"},
	}
	for want, connection := range map[string]Connection{"Permission denied": refused, "Connection refused": closed} {
		e, err := connection.open()
		if err != nil {
			t.Fatal(err)
		}
		_, err = e.Ping(t.Context(), client.PingOptions{})
		e.explain(&err)
		if err == nil || !contains(err, want) || !contains(err, connection.Host) {
			t.Errorf("got %v, want %q and %s", err, want, connection.Host)
		}
		e.Close()
	}
}

// endedSSH is an ssh command that has ended before anything was written.
type endedSSH struct {
	net.Conn
	message error
}

func (endedSSH) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}
}
func (h endedSSH) Read([]byte) (int, error) { return 0, h.message }

func TestWriterGetsTheErrorMessageOfSSH(t *testing.T) {
	t.Parallel()
	message := errors.New("Permission denied (publickey)")
	if _, err := (sshConn{endedSSH{message: message}}).Write([]byte("GET /")); !errors.Is(err, message) {
		t.Errorf("got %v", err)
	}
	if _, err := (sshConn{endedSSH{message: io.EOF}}).Write([]byte("GET /")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("without a message: %v", err)
	}
}
