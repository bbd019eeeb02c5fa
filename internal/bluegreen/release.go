// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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

// Seal returns the release as the ledger keeps it: fingerprinted and without
// its environment variables and settings.
//
// Two releases with the same fingerprint are the same release: version, image
// and workload settings agree. The size does not take part, because a release
// is scaled in place, nor does the digest, which only the platform knows.
func (r Release) Seal() Release {
	identity := struct {
		Version, Image string
		Command, Args  []string
		Env            map[string]string
		Settings       string
	}{Version: r.Version, Image: r.Image, Command: orEmpty(r.Command), Args: orEmpty(r.Args), Env: r.Env}
	if r.Settings != nil {
		identity.Settings = r.Settings.Identity()
	}
	if identity.Env == nil {
		identity.Env = map[string]string{}
	}
	// Strings, slices of strings and a map of strings always encode; map keys are sorted.
	encoded, _ := json.Marshal(identity)
	sum := sha256.Sum256(encoded)
	r.Fingerprint = hex.EncodeToString(sum[:])
	r.Env, r.Settings = nil, nil
	return r
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

// orEmpty returns an empty slice for nil, so that both have the same fingerprint.
func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
