// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestFingerprintTellsReleasesApart(t *testing.T) {
	base := Release{
		Version: "1", Image: "i", Replicas: 1,
		Command: []string{"c"}, Args: []string{"a"}, Env: map[string]string{"K": "v"},
	}
	same := map[string]func(*Release){
		"size":             func(r *Release) { r.Replicas = 9 },
		"digest":           func(r *Release) { r.ImageDigest = "sha256:9" },
		"old fingerprint":  func(r *Release) { r.Fingerprint = "9" },
		"a fresh env copy": func(r *Release) { r.Env = map[string]string{"K": "v"} },
	}
	other := map[string]func(*Release){
		"version":  func(r *Release) { r.Version = "2" },
		"image":    func(r *Release) { r.Image = "j" },
		"command":  func(r *Release) { r.Command = []string{"c", "a"}; r.Args = nil },
		"args":     func(r *Release) { r.Args = []string{"b"} },
		"env":      func(r *Release) { r.Env = map[string]string{"K": "w"} },
		"env name": func(r *Release) { r.Env = map[string]string{"L": "v"} },
		"settings": func(r *Release) { r.Settings = settings("memory 512m") },
	}
	for _, key := range []FingerprintKey{"", NewFingerprintKey()} {
		want := base.Seal(key)
		if want.Env != nil || base.Env == nil {
			t.Fatalf("sealed: %+v of %+v", want, base)
		}
		for name, edit := range same {
			r := base
			edit(&r)
			if !r.HasFingerprint(want.Fingerprint, key) {
				t.Errorf("another %s makes another release", name)
			}
		}
		for name, edit := range other {
			r := base
			edit(&r)
			if r.HasFingerprint(want.Fingerprint, key) {
				t.Errorf("another %s makes no other release", name)
			}
		}
	}
	null := Release{Version: "1"}
	empty := Release{Version: "1", Command: []string{}, Args: []string{}, Env: map[string]string{}}
	if null.Seal("").Fingerprint != empty.Seal("").Fingerprint {
		t.Error("null and empty differ")
	}
}

// Without the key a fingerprint says nothing. One that an earlier version wrote stays valid.
func TestFingerprintNeedsItsKey(t *testing.T) {
	release := Release{Version: "1", Env: map[string]string{"PIN": "1234"}}
	key := NewFingerprintKey()
	keyed, plain := release.Seal(key).Fingerprint, release.Seal("").Fingerprint
	if !release.HasFingerprint(keyed, key) || !release.HasFingerprint(plain, key) {
		t.Errorf("the release does not have both %q and %q", keyed, plain)
	}
	if !release.HasFingerprint(plain, "") {
		t.Errorf("without a key the release does not have %q", plain)
	}
	for _, other := range []FingerprintKey{"", NewFingerprintKey()} {
		if release.HasFingerprint(keyed, other) {
			t.Errorf("the fingerprint %s was matched without its key", keyed)
		}
	}
	if release.HasFingerprint("", key) || release.HasFingerprint("", "") {
		t.Error("a release has an empty fingerprint")
	}
}

func TestKeyIsNeverShown(t *testing.T) {
	l := NewLedger("web")
	l.Key = NewFingerprintKey()
	encoded, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	shown := string(encoded) + fmt.Sprintf("%v %+v %#v %s %q %x %d", l, l, l, l.Key, l.Key, l.Key, l.Key)
	if strings.Contains(shown, string(l.Key)) || strings.Contains(shown, fmt.Sprintf("%x", string(l.Key))) {
		t.Errorf("the key is in %s", shown)
	}
}

// settings are settings of a platform that are their own identity.
type settings string

func (s settings) Identity() string { return string(s) }
