// SPDX-License-Identifier: MPL-2.0

package process

import "testing"

func TestPortRangesAreRead(t *testing.T) {
	t.Parallel()
	if got, err := ParsePortRange("21000-21099"); err != nil || got != (PortRange{21000, 21099}) {
		t.Errorf("read is %s, %v", got, err)
	}
	for _, text := range []string{
		"", "-", "20000", "20000-", "-20000", "20000-20098", "29999-20000", "1023-2000", "65000-65536", "20000-29999-",
		" 20000-29999", "20000 - 29999", "+20000-29999", "020000-29999", "0x5000-29999", "20000-299999999999999999999",
	} {
		if got, err := ParsePortRange(text); err == nil {
			t.Errorf("%q is read as %s", text, got)
		}
	}
}

func TestPortRangesOverlap(t *testing.T) {
	t.Parallel()
	r := PortRange{200, 300}
	for other, want := range map[PortRange]bool{
		{100, 199}: false, {100, 200}: true, {220, 230}: true, {300, 400}: true, {301, 400}: false, {100, 400}: true,
	} {
		if r.Overlaps(other) != want || other.Overlaps(r) != want {
			t.Errorf("%s and %s: want %t", r, other, want)
		}
	}
}
