// SPDX-License-Identifier: MPL-2.0

package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// workloadName is the file that holds a workload. It is the only place where the
// values of a release's environment variables are kept.
const workloadName = "workload.json"

// Workload is what an environment should run.
type Workload struct {
	Schema int `json:"schema"`
	// Revision identifies this workload among all that were in the environment.
	Revision    string            `json:"revision"`
	Version     string            `json:"version"`
	Fingerprint string            `json:"fingerprint"`
	Digest      string            `json:"digest"`
	Argv        []string          `json:"argv"`
	Dir         string            `json:"dir"`
	Env         map[string]string `json:"env,omitempty"`
	Replicas    int               `json:"replicas"`
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
	if w.Schema != Schema || len(w.Argv) == 0 || w.Replicas < 0 {
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
