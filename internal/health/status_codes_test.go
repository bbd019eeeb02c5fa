// SPDX-License-Identifier: MPL-2.0

package health

import (
	"strings"
	"testing"
)

func TestStatusCodes(t *testing.T) {
	t.Parallel()
	for list, in := range map[string][]int{
		"200":             {200},
		"200-299":         {200, 250, 299},
		" 200-204 , 404 ": {200, 204, 404},
		"200,200-201,599": {200, 201, 599},
	} {
		codes, err := parseStatusCodes(list)
		if err != nil {
			t.Errorf("%q: %v", list, err)
		}
		for _, code := range in {
			if !codes.hasCode(code) {
				t.Errorf("%q does not contain %d", list, code)
			}
		}
		for _, code := range []int{0, 101, 199, 300, 403, 405, 598} {
			if codes.hasCode(code) {
				t.Errorf("%q contains %d", list, code)
			}
		}
	}
}

func TestBadStatusCodesAreNamed(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		"":             `"" is neither a status code`,
		"ok":           `"ok" is neither a status code`,
		"200,":         `"" is neither a status code`,
		"100":          `"100" is neither a status code`,
		"600":          `"600" is neither a status code`,
		"0200":         `"0200" is neither a status code`,
		"+20":          `"+20" is neither a status code`,
		"200-":         `"200-" is neither a status code`,
		"200-299-300":  `"200-299-300" is neither a status code`,
		"200, 299-200": `the range "299-200" ends before it begins`,
	} {
		if _, err := parseStatusCodes(list); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: error %v, want %s", list, err, want)
		}
	}
}
