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

// sshd is an SSH server on loopback with a key that lasts as long as the test.
func startSSHD(t *testing.T) Connection {
	t.Helper()
	server, err := exec.LookPath("sshd")
	if err != nil {
		// It is where a user has no need of it.
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
		if output, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key)).CombinedOutput(); err != nil {
			t.Fatalf("making a key: %v: %s", err, output)
		}
	}
	address := agenttest.FreeAddress(t)
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	ensurePrivilegesDir(t)
	// sshd wants its own path.
	process := exec.Command(server, "-D", "-e", "-f", "/dev/null", "-p", port, "-h", filepath.Join(dir, "host"),
		"-o", "ListenAddress="+host, "-o", "AuthorizedKeysFile="+filepath.Join(dir, "user.pub"), "-o", "StrictModes=no",
		"-o", "PermitRootLogin=prohibit-password", "-o", "PasswordAuthentication=no", "-o", "PidFile=none", "-o", "SetEnv=PATH="+os.Getenv("PATH"))
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// How it ends is of no interest.
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
			"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"},
	}
}

// privileges is the directory that an sshd of root insists on, and that whatever
// starts it as a service makes. Where nothing has, it is there for as long as a
// test needs it.
var privileges = struct {
	sync.Mutex
	dir   string
	users int
	made  bool
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
	privileges.made = privileges.made || err == nil
	privileges.users++
	t.Cleanup(func() {
		privileges.Lock()
		defer privileges.Unlock()
		if privileges.users--; privileges.users > 0 || !privileges.made {
			return
		}
		privileges.made = false
		if err := os.Remove(privileges.dir); err != nil {
			t.Error(err)
		}
	})
}

// missing ends a test for which this machine lacks something. That is a failure
// where the Docker tests are required.
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

func TestSSHFailuresArePlain(t *testing.T) {
	t.Parallel()
	refused := startSSHD(t)
	refused.SSHOptions = append([]string{"-o", "IdentityAgent=none", "-i", "/dev/null"}, refused.SSHOptions[2:]...)
	nobody := Connection{Host: "ssh://somebody@" + agenttest.FreeAddress(t), SSHOptions: []string{"-F", "/dev/null", "-o", "BatchMode=yes"}}
	for want, connection := range map[string]Connection{"Permission denied": refused, "Connection refused": nobody} {
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

// endedSSH is an ssh that has ended before anything was written.
type endedSSH struct {
	net.Conn
	complaint error
}

func (endedSSH) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}
}
func (h endedSSH) Read([]byte) (int, error) { return 0, h.complaint }

func TestWhatSSHComplainedAboutIsToldToWhoWrites(t *testing.T) {
	t.Parallel()
	complaint := errors.New("Permission denied (publickey)")
	if _, err := (sshConn{endedSSH{complaint: complaint}}).Write([]byte("GET /")); !errors.Is(err, complaint) {
		t.Errorf("got %v", err)
	}
	if _, err := (sshConn{endedSSH{complaint: io.EOF}}).Write([]byte("GET /")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("without a complaint: %v", err)
	}
}
