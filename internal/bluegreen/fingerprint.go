// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// FingerprintKey is the random key of the fingerprints of one deployment, "" for none. Who
// has the key and a fingerprint can guess short values of environment variables. So it is
// kept where these values are kept too, and never in the ledger, an error or a log.
type FingerprintKey string

// NewFingerprintKey returns a new random key, which is printable text.
func NewFingerprintKey() FingerprintKey { return FingerprintKey(rand.Text() + rand.Text()) }

// Format implements fmt.Formatter. It hides the key.
func (k FingerprintKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "(hidden key)") }

// keyedPrefix begins each fingerprint that was made with a key. Earlier versions wrote
// fingerprints without a key, which have no prefix.
const keyedPrefix = "hmac-sha256:"

// isKeyed reports whether a fingerprint was made with a key.
func isKeyed(fingerprint string) bool { return strings.HasPrefix(fingerprint, keyedPrefix) }

// Seal returns the release as the ledger keeps it: fingerprinted with key, and without its
// settings and the values of its environment variables. Without a key anybody who reads the
// fingerprint can guess short values of the environment variables.
//
// Two releases with the same fingerprint are the same release: version, image
// and workload settings agree. The size does not take part, because a release
// is scaled in place, nor does the digest, which only the platform knows.
func (r Release) Seal(key FingerprintKey) Release {
	r.Fingerprint = r.fingerprint(key)
	r.EnvNames = slices.Sorted(maps.Keys(r.Variables()))
	r.Env, r.SecretEnv, r.SecretEnvVersion, r.Triggers, r.Settings = nil, nil, "", nil, nil
	return r
}

// HasFingerprint reports whether recorded is the fingerprint of the release. A ledger that
// an earlier version wrote has fingerprints that were made without a key; they stay valid.
func (r Release) HasFingerprint(recorded string, key FingerprintKey) bool {
	if !isKeyed(recorded) {
		key = ""
	}
	return r.fingerprint(key) == recorded
}

func (r Release) fingerprint(key FingerprintKey) string {
	identity := struct {
		Version, Image string
		Command, Args  []string
		Env            map[string]string
		Settings       string
		// A release without triggers has the fingerprint that it had before there were any.
		Triggers string `json:",omitempty"`
	}{Version: r.Version, Image: r.Image, Command: orEmpty(r.Command), Args: orEmpty(r.Args), Env: r.Env}
	identity.Triggers = r.TriggersDigest()
	if r.Settings != nil {
		identity.Settings = r.Settings.Identity()
	}
	if identity.Env == nil {
		identity.Env = map[string]string{}
	}
	// Strings, slices of strings and a map of strings always encode; map keys are sorted.
	encoded, _ := json.Marshal(identity)
	if key == "" {
		sum := sha256.Sum256(encoded)
		return hex.EncodeToString(sum[:])
	}
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(encoded)
	return keyedPrefix + hex.EncodeToString(mac.Sum(nil))
}

// orEmpty returns an empty slice for nil, so that both have the same fingerprint.
func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
