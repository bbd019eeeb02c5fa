// SPDX-License-Identifier: MPL-2.0

package store

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// workloadName is the file that holds a workload. It is the only place where the
// values of a release's environment variables are kept.
const workloadName = "workload.json"

// revision is what the revision of a workload may be: it is part of a path.
var revision = regexp.MustCompile(`^[0-9A-Za-z-]{1,64}$`)

// Workload is what an environment should run.
type Workload struct {
	Schema int `json:"schema"`
	// Revision identifies this workload among all that were in the environment.
	Revision    string `json:"revision"`
	Version     string `json:"version"`
	Fingerprint string `json:"fingerprint"`
	Digest      string `json:"digest"`
	// Argv is what runs. The path of the command is relative if it is in the image.
	Argv []string `json:"argv"`
	// Dir is set by an earlier version, whose replicas all worked in the copy of the image. Now it
	// is "": each of them has a directory of its own, WorkDir.
	Dir      string            `json:"dir,omitempty"`
	Env      map[string]string `json:"env,omitempty"`
	Replicas int               `json:"replicas"`
	// Settings is empty in a workload that an earlier version has stored.
	Settings process.Settings `json:"settings,omitzero"`
	// Ports is the range of the replicas' ports, "" for that of the agent.
	Ports string `json:"replica_ports,omitempty"`
}

// NewRevision returns the revision of a new workload that runs w's release.
func (w *Workload) NewRevision() string { return w.revisionPrefix() + rand.Text()[:revisionPart] }

// IsOf reports whether a workload with this revision ran w's release.
func (w *Workload) IsOf(revision string) bool { return strings.HasPrefix(revision, w.revisionPrefix()) }

// revisionPart is how long the two parts of a revision are: one tells of the release, the other
// one of the deploy.
const revisionPart = 13

func (w *Workload) revisionPrefix() string {
	sum := sha256.Sum256([]byte(w.Fingerprint + " " + w.Digest))
	return base32.StdEncoding.EncodeToString(sum[:])[:revisionPart]
}

// IsSame reports whether two workloads differ in their size at most. w may be nil.
func (w *Workload) IsSame(other *Workload) bool {
	return w != nil && w.Fingerprint == other.Fingerprint && w.Digest == other.Digest
}

// ReadWorkload returns what should run in the environment at dir, nil for nothing.
func ReadWorkload(dir string) (*Workload, error) {
	path := filepath.Join(dir, workloadName)
	var w Workload
	if found, err := durable.ReadJSON(path, "workload", &w); err != nil || !found {
		return nil, err
	}
	if w.Schema != Schema || len(w.Argv) == 0 || w.Replicas < 0 || !revision.MatchString(w.Revision) {
		err := fmt.Errorf("it is not a valid workload (schema version %d)", w.Schema)
		return nil, &durable.UnreadableError{Path: path, Err: err}
	}
	return &w, nil
}

// Write stores the workload in the environment at dir, which it creates if needed.
func (w *Workload) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("creating the environment's directory: %w", err)
	}
	w.Schema = Schema
	return durable.WriteJSON(filepath.Join(dir, workloadName), "workload", w)
}

// RemoveWorkload removes what should run in the environment at dir. It is not an
// error if there is nothing.
func RemoveWorkload(dir string) error {
	if err := os.Remove(filepath.Join(dir, workloadName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing the workload: %w", err)
	}
	if err := durable.SyncDir(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing the workload: %w", err)
	}
	return nil
}

// ImagesInUse returns the digests that the workloads of all deployments refer to.
// It reads the files, which also include deployments that cannot be served.
func (d Dir) ImagesInUse() (map[string]bool, error) {
	used := map[string]bool{}
	entries, err := os.ReadDir(d.Deployments())
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		for _, env := range bluegreen.Environments() {
			w, err := ReadWorkload(EnvironmentDir(d.Deployment(entry.Name()), env))
			if err != nil {
				return nil, err
			}
			if w != nil {
				used[w.Digest] = true
			}
		}
	}
	return used, nil
}
