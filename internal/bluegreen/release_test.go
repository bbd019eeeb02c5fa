// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
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
	want := base.Seal()
	if len(want.Fingerprint) != 64 || want.Env != nil || base.Env == nil {
		t.Fatalf("sealed: %+v of %+v", want, base)
	}
	for name, edit := range same {
		r := base
		edit(&r)
		if r.Seal().Fingerprint != want.Fingerprint {
			t.Errorf("another %s makes another release", name)
		}
	}
	for name, edit := range other {
		r := base
		edit(&r)
		if r.Seal().Fingerprint == want.Fingerprint {
			t.Errorf("another %s makes no other release", name)
		}
	}
	null := Release{Version: "1"}
	empty := Release{Version: "1", Command: []string{}, Args: []string{}, Env: map[string]string{}}
	if null.Seal().Fingerprint != empty.Seal().Fingerprint {
		t.Error("null and empty differ")
	}
}

// settings are settings of a platform that are their own identity.
type settings string

func (s settings) Identity() string { return string(s) }
