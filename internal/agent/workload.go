// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// workloadFile holds a workload. It is the only place where the values of a
// release's environment variables are kept.
const workloadFile = "workload.json"

// workload is what an environment should run.
type workload struct {
	Schema int `json:"schema"`
	// Revision tells this workload from every other one that was in the environment.
	Revision    string            `json:"revision"`
	Version     string            `json:"version"`
	Fingerprint string            `json:"fingerprint"`
	Digest      string            `json:"digest"`
	Argv        []string          `json:"argv"`
	Dir         string            `json:"dir"`
	Env         map[string]string `json:"env,omitempty"`
	Replicas    int               `json:"replicas"`
}

// same reports whether two workloads differ in their size at most.
func (w *workload) same(other *workload) bool {
	return w != nil && w.Fingerprint == other.Fingerprint && w.Digest == other.Digest
}

// readWorkload returns what should run in the environment at dir, nil for nothing.
func readWorkload(dir string) (*workload, error) {
	path := filepath.Join(dir, workloadFile)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &UnreadableError{path, err}
	}
	var w workload
	if err := json.Unmarshal(content, &w); err != nil {
		return nil, &UnreadableError{path, fmt.Errorf("it is torn, or no workload: %w", err)}
	}
	if w.Schema != documentSchema || len(w.Argv) == 0 || w.Replicas < 0 {
		return nil, &UnreadableError{path, fmt.Errorf("it is no workload that this program can have written (schema version %d)", w.Schema)}
	}
	return &w, nil
}

func (w *workload) write(dir string) error {
	content, err := json.MarshalIndent(w, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the workload: %w", err)
	}
	return writeFile(filepath.Join(dir, workloadFile), content)
}

// inherited are the variables that a replica gets from the agent.
var inherited = []string{"PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR"}

// environ is the environment of a replica that listens on port. What the agent
// says about the replica goes over what the release says.
func (w *workload) environ(env bluegreen.Environment, port int, incarnation string) []string {
	variables := map[string]string{}
	for _, name := range inherited {
		if value, ok := os.LookupEnv(name); ok {
			variables[name] = value
		}
	}
	maps.Copy(variables, w.Env)
	maps.Copy(variables, map[string]string{
		"PORT":                  strconv.Itoa(port),
		"HOST":                  "127.0.0.1",
		"BLUEGREEN_ENVIRONMENT": string(env),
		"BLUEGREEN_VERSION":     w.Version,
		incarnationVariable:     incarnation,
	})
	list := make([]string, 0, len(variables))
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		list = append(list, name+"="+variables[name])
	}
	return list
}

// usedImages returns the digests that the workloads below deployments refer to.
// It asks the files, which also know of deployments that cannot be served.
func usedImages(deployments string) (map[string]bool, error) {
	used := map[string]bool{}
	entries, err := os.ReadDir(deployments)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		for _, env := range bluegreen.Environments() {
			w, err := readWorkload(filepath.Join(deployments, entry.Name(), string(env)))
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
