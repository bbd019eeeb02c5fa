// SPDX-License-Identifier: MPL-2.0

//go:build unix

package process

import (
	"os/user"
	"slices"
	"testing"
)

// The variables that say whose process it is are those of the user, unless the release sets them.
func TestReplicaHasTheVariablesOfItsUser(t *testing.T) {
	t.Parallel()
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	found, err := LookUpUser("nobody", "")
	if err != nil {
		t.Fatal(err)
	}
	unlisted, err := LookUpUser("4000123", "4000124")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		user            *User
		env             map[string]string
		wanted, missing []string
	}{
		"a user of the machine": {
			found, nil, []string{"HOME=" + nobody.HomeDir, "USER=nobody", "LOGNAME=nobody"}, nil,
		},
		"a release that sets one": {
			found, map[string]string{"HOME": "/data"}, []string{"HOME=/data", "USER=nobody", "LOGNAME=nobody"}, nil,
		},
		"a user without a name": {unlisted, nil, nil, []string{"HOME", "USER", "LOGNAME"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Spec{Env: c.env}.environ(20000, "incarnation", c.user)
			for _, variable := range c.wanted {
				if !slices.Contains(got, variable) {
					t.Errorf("%s is missing: %q", variable, got)
				}
			}
			for _, name := range c.missing {
				if slices.ContainsFunc(got, func(variable string) bool { return hasName(variable, name) }) {
					t.Errorf("%s is set: %q", name, got)
				}
			}
		})
	}
}
