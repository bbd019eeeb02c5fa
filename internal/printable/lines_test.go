// SPDX-License-Identifier: MPL-2.0

package printable

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestLastLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3*maxLine+1)
	for name, c := range map[string]struct {
		log  string
		n    int
		want []string
	}{
		"nothing":                    {"", 2, nil},
		"fewer":                      {"one\n", 2, []string{"one"}},
		"more":                       {"one\ntwo\nthree\n", 2, []string{"two", "three"}},
		"none wanted":                {"one\n", 0, []string{}},
		"ends in the middle":         {"one\ntwo", 2, []string{"one", "two"}},
		"ends of lines of Windows":   {"one\r\n\r\ntwo\r\n", 3, []string{"one", "", "two"}},
		"a long one is one":          {"one\n" + long + "\ntwo\n", 3, []string{"one", long[:maxLine], "two"}},
		"a long one without its end": {long, 3, []string{long[:maxLine]}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := LastLines(strings.NewReader(c.log), c.n)
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("got %d lines: %.60q, %v", len(got), got, err)
			}
		})
	}
}

func TestLogBreaksOff(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	got, err := LastLines(io.MultiReader(strings.NewReader("first\nsecond\n"), iotest.ErrReader(broken)), 1)
	if !errors.Is(err, broken) || !slices.Equal(got, []string{"second"}) {
		t.Errorf("got %q and %v", got, err)
	}
}
