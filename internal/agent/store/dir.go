// SPDX-License-Identifier: MPL-2.0

package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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
//	next.sock (the socket of an agent that takes over)  left.XXXXX (sockets of former agents)
//	reserve/
//	images/{sha256-DIGEST/,sha256-DIGEST.list}
//	deployments/NAME/ledger.json
//	deployments/NAME/history-N.jsonl
//	deployments/NAME/upkeep.json
//	deployments/NAME/{blue,green}/{workload.json,targets.json}
//	deployments/NAME/{blue,green}/replicas/green-1/{process.json,output,output.log,work-REVISION/}
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

// NextSocket is where an agent that takes over listens until the agent before has let go.
func (d Dir) NextSocket() string { return filepath.Join(string(d), "next.sock") }

// formerPrefix begins the names of the sockets of former agents. Their paths are as long as that
// of the agent's socket, so that they fit too.
const formerPrefix = "left."

// NewFormerSocket is where an agent that has left can listen, for the present one.
func (d Dir) NewFormerSocket() string {
	name := formerPrefix + rand.Text()
	return filepath.Join(string(d), name[:len("agent.sock")])
}

// FormerSockets are where agents that have left listen, or have listened.
func (d Dir) FormerSockets() []string {
	var found []string
	entries, _ := os.ReadDir(string(d))
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), formerPrefix) && entry.Type() == fs.ModeSocket {
			found = append(found, filepath.Join(string(d), entry.Name()))
		}
	}
	return found
}

// Lock is the file that the agent has locked as long as it lives.
func (d Dir) Lock() string { return filepath.Join(string(d), "agent.lock") }

// Log is the agent's own log.
func (d Dir) Log() string { return filepath.Join(string(d), "agent.log") }

// Images holds the copies of images.
func (d Dir) Images() string { return filepath.Join(string(d), "images") }

// Reserve holds space for what must be written while the disk is full.
func (d Dir) Reserve() string { return filepath.Join(string(d), "reserve") }

// Deployments holds a directory for every deployment.
func (d Dir) Deployments() string { return filepath.Join(string(d), "deployments") }

// Deployment is the directory of one deployment.
func (d Dir) Deployment(name string) string { return filepath.Join(d.Deployments(), name) }

// DeploymentNames returns the names of the deployments that have a ledger, sorted.
func (d Dir) DeploymentNames() ([]string, error) {
	entries, err := os.ReadDir(d.Deployments())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		name := entry.Name()
		_, err := os.Lstat(filepath.Join(d.Deployment(name), documentName))
		if err == nil && ValidateName(name) == nil {
			names = append(names, name)
		}
	}
	return names, nil
}

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

// workPrefix begins the name of the directory in which a replica works. The revision of its
// workload follows.
const workPrefix = "work-"

// WorkDir is the directory in which the replica whose directory is replica works when it runs a
// workload with this revision.
func WorkDir(replica, revision string) string { return filepath.Join(replica, workPrefix+revision) }

// FormerWorkDirs returns the directories in which the replica whose directory is replica has worked
// for other workloads.
func FormerWorkDirs(replica, revision string) ([]string, error) {
	all, err := filepath.Glob(filepath.Join(replica, workPrefix+"*"))
	current := WorkDir(replica, revision)
	return slices.DeleteFunc(all, func(path string) bool { return strings.HasPrefix(path, current) }), err
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
