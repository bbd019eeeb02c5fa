// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
)

// Release is a version of a workload with the settings that it runs with.
type Release struct {
	Version string `json:"version"`
	// Image is what the user wrote: a path for local, a reference elsewhere.
	Image string `json:"image"`
	// ImageDigest pins what Image meant when it was deployed. Provision returns it.
	ImageDigest string `json:"image_digest,omitempty"`
	Replicas    int    `json:"replicas"`
	// Autoscaled leaves the size to an autoscaler. Replicas is then the size that was
	// seen last; only a repair and the next deploy use it.
	Autoscaled bool     `json:"autoscaled,omitempty"`
	Command    []string `json:"command,omitempty"`
	Args       []string `json:"args,omitempty"`
	// Env may hold secrets. It goes to the platform with the workload and never into
	// the ledger. A change to it changes the Fingerprint.
	Env map[string]string `json:"-"`
	// SecretEnv are further environment variables, with other names than Env. The Fingerprint
	// does not depend on their values, which Terraform does not keep, but on SecretEnvVersion.
	SecretEnv map[string]string `json:"-"`
	// SecretEnvVersion changes when SecretEnv does. It is "" without one.
	SecretEnvVersion string `json:"-"`
	// EnvNames are the names of the variables in Env and SecretEnv, sorted. Seal sets them, so
	// that the ledger knows which ones an import cannot read.
	EnvNames []string `json:"env_names,omitempty"`
	// Triggers are texts without a meaning. A change to them makes another release, with the
	// same content or not. Like Env they never go into the ledger.
	Triggers map[string]string `json:"-"`
	// Settings are the platform's own settings of the workload, nil for none. Like
	// Env they never go into the ledger.
	Settings Settings `json:"-"`
	// Fingerprint identifies the release in the ledger; see Seal.
	Fingerprint string `json:"fingerprint,omitempty"`
}

// Settings are a platform's own settings of a workload, such as limits. Only the
// platform reads them; the engine compares them.
type Settings interface {
	// Identity returns the same text for the same settings and another text for
	// other ones. It may contain secrets.
	Identity() string
}

// Variables returns the environment variables of the release, the secret ones included.
func (r Release) Variables() map[string]string {
	all := make(map[string]string, len(r.Env)+len(r.SecretEnv))
	maps.Copy(all, r.Env)
	maps.Copy(all, r.SecretEnv)
	return all
}

// TriggersDigest identifies the triggers and the version of the secret variables, "" for
// neither. Replicas of releases that differ only in them must differ too, because a new
// release has new replicas.
func (r Release) TriggersDigest() string {
	if len(r.Triggers) == 0 && r.SecretEnvVersion == "" {
		return ""
	}
	var identity any = r.Triggers
	if r.SecretEnvVersion != "" {
		identity = []any{r.Triggers, r.SecretEnvVersion}
	}
	// Strings and maps of strings always encode; map keys are sorted.
	encoded, _ := json.Marshal(identity)
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:])
}

// expectedSize returns how many instances there should be. For an autoscaled release
// these are the ones that were found, but at least one.
func (r Release) expectedSize(found []Instance) int {
	if r.Autoscaled {
		return max(len(found), 1)
	}
	return r.Replicas
}

// hasSizeOf reports whether the release has the same size as other, or whether both
// are autoscaled.
func (r Release) hasSizeOf(other Release) bool {
	return r.Autoscaled == other.Autoscaled && (r.Autoscaled || r.Replicas == other.Replicas)
}
