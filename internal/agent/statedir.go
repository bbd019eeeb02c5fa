// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"syscall"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// maxSocketPath is what fits in sockaddr_un on every system: 104 bytes on the
// BSDs and macOS, 108 on Linux, with the final NUL.
const maxSocketPath = 103

// ErrUnsupported: this operating system lacks what the agent is built on (Unix
// sockets with file permissions, process groups, named pipes).
var ErrUnsupported = errors.New("running processes with blue/green deployments is not supported on this operating system")

// dnsLabel is what a deployment may be called. A name is part of paths and of
// host names, so it is checked wherever it enters.
var dnsLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// ValidateName returns an error unless name is a DNS label of at most 63 characters.
func ValidateName(name string) error {
	if !dnsLabel.MatchString(name) {
		return fmt.Errorf("%q is not a deployment name: it must be a DNS label, at most 63 lower case letters, digits and hyphens, with no hyphen first or last", name)
	}
	return nil
}

// DefaultStateDir is $XDG_STATE_HOME/bluegreen, or ~/.local/state/bluegreen.
func DefaultStateDir() (string, error) {
	// The XDG specification has relative paths ignored.
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "bluegreen"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("finding the state directory: %w", err)
	}
	return filepath.Join(home, ".local", "state", "bluegreen"), nil
}

// stateDir is the directory that one agent owns.
//
//	agent.sock  agent.lock  agent.log
//	images/sha256-DIGEST/
//	deployments/NAME/ledger.json
//	deployments/NAME/history-N.jsonl
//	deployments/NAME/{blue,green}/workload.json
//	deployments/NAME/{blue,green}/replicas/green-1/{process.json,output,output.log}
type stateDir string

func (d stateDir) socket() string      { return filepath.Join(string(d), "agent.sock") }
func (d stateDir) lock() string        { return filepath.Join(string(d), "agent.lock") }
func (d stateDir) log() string         { return filepath.Join(string(d), "agent.log") }
func (d stateDir) images() string      { return filepath.Join(string(d), "images") }
func (d stateDir) deployments() string { return filepath.Join(string(d), "deployments") }

func (d stateDir) deployment(name string) string { return filepath.Join(d.deployments(), name) }

func environmentDir(deployment string, env bluegreen.Environment) string {
	return filepath.Join(deployment, string(env))
}

// openStateDir returns path as a state directory, without touching it.
func openStateDir(path string) (stateDir, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("state_dir: %w", err)
	}
	dir := stateDir(absolute)
	if n := len(dir.socket()); n > maxSocketPath {
		return "", fmt.Errorf("state_dir is too long: the path of the agent's socket, %s, has %d bytes and a Unix socket's path at most %d", dir.socket(), n, maxSocketPath)
	}
	return dir, nil
}

// locateStateDir is openStateDir, where "" is the user's default.
func locateStateDir(path string) (stateDir, error) {
	if path == "" {
		var err error
		if path, err = DefaultStateDir(); err != nil {
			return "", err
		}
	}
	return openStateDir(path)
}

// dial connects to the agent, or returns ErrNotRunning. It is told secrets, and so
// nobody else may have made its socket.
func (d stateDir) dial(ctx context.Context) (net.Conn, error) {
	if err := d.check(); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s", ErrNotRunning, d)
	} else if err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", d.socket())
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("%w in %s", ErrNotRunning, d)
	}
	return conn, err
}

// check returns an error unless the directory is there and nobody else can get at it.
func (d stateDir) check() error {
	info, err := os.Lstat(string(d))
	if err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("state directory %s is no directory", d)
	}
	if err := checkPrivate(info); err != nil {
		return fmt.Errorf("state directory %s: %w", d, err)
	}
	return nil
}

// prepare makes the directory, or checks that nobody else can get at it.
func (d stateDir) prepare() error {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return fmt.Errorf("making the state directory: %w", err)
	}
	if err := d.check(); err != nil {
		return err
	}
	for _, dir := range []string{d.images(), d.deployments()} {
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("making the state directory: %w", err)
		}
	}
	return nil
}
