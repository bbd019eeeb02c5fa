// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Release is what runs in an environment: a version of a workload and its settings.
type Release struct {
	Version string `json:"version"`
	// Image is what the user wrote: a path for local, a reference elsewhere.
	Image string `json:"image"`
	// ImageDigest pins what Image meant when it was deployed. The platform finds it out.
	ImageDigest string `json:"image_digest,omitempty"`
	Replicas    int    `json:"replicas"`
	// Autoscaled leaves the size to somebody else: Replicas is then what it was when
	// it was seen last, and nothing but a repair or another deploy goes by it.
	Autoscaled bool     `json:"autoscaled,omitempty"`
	Command    []string `json:"command,omitempty"`
	Args       []string `json:"args,omitempty"`
	// Env may hold secrets: it goes to the platform with the workload and never
	// into the ledger. Fingerprint still tells when it changed.
	Env map[string]string `json:"-"`
	// Settings are the platform's own settings of the workload, nil for none. They
	// are kept from the ledger as Env is.
	Settings Settings `json:"-"`
	// Fingerprint identifies the release in the ledger; see Seal.
	Fingerprint string `json:"fingerprint,omitempty"`
}

// Settings are a platform's own settings of a workload, such as limits. The
// platform that made them reads them; everybody else only compares them.
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

// size is how many instances there are to be, of which these are found.
func (r Release) size(found []Instance) int {
	if r.Autoscaled {
		return max(len(found), 1)
	}
	return r.Replicas
}

// scaledAs reports whether the release has the size that other has, or leaves it
// to others as other does.
func (r Release) scaledAs(other Release) bool {
	return r.Autoscaled == other.Autoscaled && (r.Autoscaled || r.Replicas == other.Replicas)
}

func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
