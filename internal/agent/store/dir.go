// SPDX-License-Identifier: MPL-2.0

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// maxSocketPath is what fits in sockaddr_un on every system: 104 bytes on the
// BSDs and macOS, 108 on Linux, with the final NUL.
const maxSocketPath = 103

// dnsLabel is what a deployment may be called. A name is part of paths and of
// host names, so every name that comes from outside is checked.
var dnsLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// ValidateName returns an error unless name is a DNS label of at most 63 characters.
func ValidateName(name string) error {
	if !dnsLabel.MatchString(name) {
		return fmt.Errorf("%q is not a deployment name: it must be a DNS label, at most 63 lower case letters, "+
			"digits and hyphens, with no hyphen first or last", name)
	}
	return nil
}

// Dir is the state directory, which one agent owns.
//
//	agent.sock  agent.lock  agent.log
//	images/sha256-DIGEST/
//	deployments/NAME/ledger.json
//	deployments/NAME/history-N.jsonl
//	deployments/NAME/upkeep.json
//	deployments/NAME/{blue,green}/{workload.json,targets.json}
//	deployments/NAME/{blue,green}/replicas/green-1/{process.json,output,output.log}
type Dir string

// DefaultDir is $XDG_STATE_HOME/bluegreen, or ~/.local/state/bluegreen.
func DefaultDir() (string, error) {
	// The XDG specification says that relative paths are ignored.
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "bluegreen"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("finding the state directory: %w", err)
	}
	return filepath.Join(home, ".local", "state", "bluegreen"), nil
}

// OpenDir returns path as a state directory, without touching it.
func OpenDir(path string) (Dir, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("state_dir: %w", err)
	}
	dir := Dir(absolute)
	if n := len(dir.Socket()); n > maxSocketPath {
		return "", fmt.Errorf("state_dir is too long: the path of the agent's socket, %s, has %d bytes "+
			"and a Unix socket's path at most %d", dir.Socket(), n, maxSocketPath)
	}
	return dir, nil
}

// LocateDir is OpenDir, but takes "" for the default of the user.
func LocateDir(path string) (Dir, error) {
	if path == "" {
		var err error
		if path, err = DefaultDir(); err != nil {
			return "", err
		}
	}
	return OpenDir(path)
}

// Socket is where the agent listens.
func (d Dir) Socket() string { return filepath.Join(string(d), "agent.sock") }

// Lock is the file that the agent has locked as long as it lives.
func (d Dir) Lock() string { return filepath.Join(string(d), "agent.lock") }

// Log is the agent's own log.
func (d Dir) Log() string { return filepath.Join(string(d), "agent.log") }

// Images holds the copies of images.
func (d Dir) Images() string { return filepath.Join(string(d), "images") }

// Deployments holds a directory for every deployment.
func (d Dir) Deployments() string { return filepath.Join(string(d), "deployments") }

// Deployment is the directory of one deployment.
func (d Dir) Deployment(name string) string { return filepath.Join(d.Deployments(), name) }

// EnvironmentDir is the directory of an environment in that of its deployment.
func EnvironmentDir(deployment string, env bluegreen.Environment) string {
	return filepath.Join(deployment, string(env))
}

// ReplicasDir holds a directory for every replica of the environment at environmentDir.
func ReplicasDir(environmentDir string) string { return filepath.Join(environmentDir, "replicas") }

// ReplicaDir is the directory of one replica.
func ReplicaDir(environmentDir, id string) string {
	return filepath.Join(ReplicasDir(environmentDir), id)
}

// ReplicaID is the ID of a replica of env. Numbers are counted from 1.
func ReplicaID(env bluegreen.Environment, number int) string {
	return fmt.Sprintf("%s-%d", env, number)
}

// ReplicaNumber is the number in a replica's ID, 0 if there is none.
func ReplicaNumber(id string) int {
	_, number, _ := strings.Cut(id, "-")
	n, err := strconv.Atoi(number)
	if err != nil {
		return 0
	}
	return n
}

// Check returns an error unless the directory exists and no other user can access it.
func (d Dir) Check() error {
	info, err := os.Lstat(string(d))
	if err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("state directory %s is not a directory", d)
	}
	if err := checkPrivate(info); err != nil {
		return fmt.Errorf("state directory %s: %w", d, err)
	}
	return nil
}

// Prepare creates the directory, or checks that no other user can access it.
func (d Dir) Prepare() error {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return fmt.Errorf("creating the state directory: %w", err)
	}
	if err := d.Check(); err != nil {
		return err
	}
	for _, dir := range []string{d.Images(), d.Deployments()} {
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("creating the state directory: %w", err)
		}
	}
	return nil
}
