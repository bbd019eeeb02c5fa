// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"cmp"
	"slices"
	"strings"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/printable"
)

// shortestSecret is the length of the shortest value of an environment variable that
// is masked. Shorter values such as "1" or "web" are everywhere in logs, and masking them would
// leave nothing to read.
const shortestSecret = 4

// newMask returns a function that makes a text printable and hides the values of
// environment variables in it. A replica may have logged them. A value of several lines is
// also hidden line by line, because logs may show its lines apart.
func newMask(env map[string]string) func(text string) string {
	var secrets []string
	for _, value := range env {
		// The text is printable too. Otherwise a color in the middle of a value would show it.
		value = printable.Text(value)
		secrets = append(secrets, value)
		for line := range strings.Lines(value) {
			secrets = append(secrets, strings.TrimSpace(line))
		}
	}
	secrets = slices.DeleteFunc(secrets, func(secret string) bool { return len(secret) < shortestSecret })
	// A value may contain another one. Replacing the shorter one first would show the
	// rest of the longer one.
	slices.SortFunc(secrets, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b))
	})
	secrets = slices.Compact(secrets)
	return func(text string) string {
		text = printable.Text(text)
		for _, secret := range secrets {
			text = strings.ReplaceAll(text, secret, "***")
		}
		return text
	}
}
