// SPDX-License-Identifier: MPL-2.0

package store

import (
	"bytes"
	"errors"
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

// ExternalReplica is a replica that the agent carries traffic to, and that runs
// outside of the agent, such as a container.
type ExternalReplica struct {
	ID string `json:"id"`
	// Incarnation stays the same when the same container is restarted. A
	// bluegreen.InstanceRef that tells its runs apart adds a slash and the run.
	Incarnation string `json:"incarnation"`
	// Address is host:port, where the agent reaches it.
	Address string `json:"address"`
}

// Backend is the ID of the replica in the router. The one that replaces it has another ID.
func (r ExternalReplica) Backend() string { return r.ID + "@" + r.Incarnation }

// Ref is the replica as the ledger remembers it, without the run.
func (r ExternalReplica) Ref() bluegreen.InstanceRef {
	return bluegreen.InstanceRef{ID: r.ID, Incarnation: r.Incarnation}
}

// CheckExternalReplicas returns an error unless every replica has an ID of its own and an address.
func CheckExternalReplicas(replicas []ExternalReplica) error {
	seen := map[string]bool{}
	for _, r := range replicas {
		if r.ID == "" {
			return errors.New("an external replica has no ID")
		}
		if seen[r.ID] {
			return fmt.Errorf("two external replicas have the ID %q", r.ID)
		}
		seen[r.ID] = true
		if _, _, err := net.SplitHostPort(r.Address); err != nil {
			return fmt.Errorf("the address of external replica %s is invalid: %w", r.ID, err)
		}
	}
	return nil
}

// ExternalReplicas are the replicas of an environment that run outside of the agent.
type ExternalReplicas struct {
	Schema   int               `json:"schema"`
	Replicas []ExternalReplica `json:"targets,omitempty"`
	// ContainerSpec is what they are created from. Only the platform reads it.
	ContainerSpec []byte `json:"blueprint,omitempty"`
}

// ReadExternalReplicas returns what is stored in the environment at dir, nothing
// if there is no file.
func ReadExternalReplicas(dir string) (ExternalReplicas, error) {
	path := filepath.Join(dir, externalName)
	var e ExternalReplicas
	if found, err := durable.ReadJSON(path, "list of external replicas", &e); err != nil || !found {
		return ExternalReplicas{}, err
	}
	err := CheckExternalReplicas(e.Replicas)
	if e.Schema != Schema {
		err = fmt.Errorf("it is not a valid list of external replicas (schema version %d)", e.Schema)
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
		return fmt.Errorf("creating the environment's directory: %w", err)
	}
	return durable.WriteJSON(filepath.Join(dir, externalName), "list of external replicas", e)
}

// IsEmpty reports whether there are neither replicas nor a container spec.
func (e ExternalReplicas) IsEmpty() bool { return len(e.Replicas) == 0 && len(e.ContainerSpec) == 0 }

// IsEqual reports whether e and other say the same.
func (e ExternalReplicas) IsEqual(other ExternalReplicas) bool {
	return slices.Equal(e.Replicas, other.Replicas) && bytes.Equal(e.ContainerSpec, other.ContainerSpec)
}

// Find returns the replica of which ref is a run.
func (e ExternalReplicas) Find(ref bluegreen.InstanceRef) (ExternalReplica, error) {
	i := slices.IndexFunc(e.Replicas, func(r ExternalReplica) bool { return isRunOf(ref, r.ID, r.Incarnation) })
	if i < 0 {
		return ExternalReplica{}, fmt.Errorf("no instance %q has this incarnation: it was replaced or removed",
			ref.ID)
	}
	return e.Replicas[i], nil
}

// HasBackend reports whether a replica has this ID in the router.
func (e ExternalReplicas) HasBackend(id string) bool {
	return slices.ContainsFunc(e.Replicas, func(r ExternalReplica) bool { return r.Backend() == id })
}

// RemovedSince returns the backends of the replicas in former that e does not have, or
// has at another address.
func (e ExternalReplicas) RemovedSince(former ExternalReplicas) []string {
	var ids []string
	for _, r := range former.Replicas {
		if !slices.Contains(e.Replicas, r) {
			ids = append(ids, r.Backend())
		}
	}
	return ids
}
