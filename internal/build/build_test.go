// SPDX-License-Identifier: MPL-2.0

package build

import "testing"

func TestAgeOfAnAgent(t *testing.T) {
	former := Version
	defer func() { Version = former }()
	for _, c := range []struct {
		this, version, id string
		want              Age
	}{
		{"1.2.0", "1.1.9", "", Older},
		{"1.2.0", "1.2.0", "another", Same},
		{"1.2.0", "1.2.0-rc1", "", Older},
		{"1.2.0", "1.10.0", "", Newer},
		{"1.2.0", "", "", Older},
		{"1.2.0", "dev", ID(), Older},
		{"dev", "1.2.0", "another", Older},
		{"dev", "dev", ID(), Same},
		{"dev", "dev", "another", Older},
	} {
		Version = c.this
		if got := AgeOf(c.version, c.id); got != c.want {
			t.Errorf("to %s, %q (%s) is %d, want %d", c.this, c.version, c.id, got, c.want)
		}
	}
	if len(ID()) != 16 {
		t.Errorf("the ID is %q", ID())
	}
}
