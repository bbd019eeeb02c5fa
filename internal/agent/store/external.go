// SPDX-License-Identifier: MPL-2.0

package store

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// externalName is the file that holds the external replicas of an environment.
// Its container spec may hold the values of environment variables.
const externalName = "targets.json"

// Target is an external replica: the agent carries traffic to it, and something
// else runs it.
type Target struct {
	ID string `json:"id"`
	// Incarnation stays the same when the same container is restarted. A
	// bluegreen.InstanceRef that tells its runs apart adds a slash and the run.
	Incarnation string `json:"incarnation"`
	// Address is host:port, where the agent reaches it.
	Address string `json:"address"`
}

// Backend is the ID of the target in the router. One that replaces it has another.
func (t Target) Backend() string { return t.ID + "@" + t.Incarnation }

// Ref is the target as the ledger remembers it, without the run.
func (t Target) Ref() bluegreen.InstanceRef {
	return bluegreen.InstanceRef{ID: t.ID, Incarnation: t.Incarnation}
}

// CheckTargets returns an error unless every target has an ID of its own and an address.
func CheckTargets(targets []Target) error {
	seen := map[string]bool{}
	for _, t := range targets {
		if t.ID == "" || seen[t.ID] {
			return fmt.Errorf("there are two targets with the ID %q, or it is empty", t.ID)
		}
		seen[t.ID] = true
		if _, _, err := net.SplitHostPort(t.Address); err != nil {
			return fmt.Errorf("the address of target %s: %w", t.ID, err)
		}
	}
	return nil
}

// ExternalReplicas are the replicas of an environment that something else than
// the agent runs.
type ExternalReplicas struct {
	Schema  int      `json:"schema"`
	Targets []Target `json:"targets,omitempty"`
	// ContainerSpec is what they are created from. Only the platform reads it.
	ContainerSpec []byte `json:"blueprint,omitempty"`
}

// ReadExternalReplicas returns what is stored in the environment at dir, nothing
// where there is no file.
func ReadExternalReplicas(dir string) (ExternalReplicas, error) {
	path := filepath.Join(dir, externalName)
	var e ExternalReplicas
	if found, err := durable.ReadJSON(path, "list of targets", &e); err != nil || !found {
		return ExternalReplicas{}, err
	}
	err := CheckTargets(e.Targets)
	if e.Schema != Schema {
		err = fmt.Errorf("it is no list of targets that this program can have written (schema version %d)", e.Schema)
	}
	if err != nil {
		return ExternalReplicas{}, &durable.UnreadableError{Path: path, Err: err}
	}
	return e, nil
}

// Write stores e in the environment at dir, which it creates if needed.
func (e ExternalReplicas) Write(dir string) error {
	e.Schema = Schema
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the environment's directory: %w", err)
	}
	return durable.WriteJSON(filepath.Join(dir, externalName), "list of targets", e)
}

// IsEmpty reports whether there are neither targets nor a container spec.
func (e ExternalReplicas) IsEmpty() bool { return len(e.Targets) == 0 && len(e.ContainerSpec) == 0 }

// IsEqual reports whether e and other say the same.
func (e ExternalReplicas) IsEqual(other ExternalReplicas) bool {
	return slices.Equal(e.Targets, other.Targets) && bytes.Equal(e.ContainerSpec, other.ContainerSpec)
}

// Find returns the target of which ref is a run.
func (e ExternalReplicas) Find(ref bluegreen.InstanceRef) (Target, error) {
	i := slices.IndexFunc(e.Targets, func(t Target) bool { return isRunOf(ref, t.ID, t.Incarnation) })
	if i < 0 {
		return Target{}, fmt.Errorf("there is no instance %q like that any more", ref.ID)
	}
	return e.Targets[i], nil
}

// HasBackend reports whether a target has this ID in the router.
func (e ExternalReplicas) HasBackend(id string) bool {
	return slices.ContainsFunc(e.Targets, func(t Target) bool { return t.Backend() == id })
}

// RemovedSince are the backends of the targets in former that e does not have, or
// has at another address.
func (e ExternalReplicas) RemovedSince(former ExternalReplicas) []string {
	var ids []string
	for _, t := range former.Targets {
		if !slices.Contains(e.Targets, t) {
			ids = append(ids, t.Backend())
		}
	}
	return ids
}
