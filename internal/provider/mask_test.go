// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"errors"
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

func TestNoPartOfASecretIsShown(t *testing.T) {
	t.Parallel()
	const key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\n  kqhkiG9w0BAQ\r\nEFAASC\nabc\n-----END KEY-----\n"
	for name, tt := range map[string]struct {
		env        map[string]string
		text, want string
	}{
		"a value that begins like another one": {
			map[string]string{"DB_USER": "service", "DB_PASSWORD": "service-Zq81xK"},
			"user service, password service-Zq81xK", "user ***, password ***",
		},
		"a value inside another one": {
			map[string]string{"PASSWORD": "correct-horse", "URL": "db://ada:correct-horse@db/shop"},
			"cannot reach db://ada:correct-horse@db/shop", "cannot reach ***",
		},
		"a value of several lines": {map[string]string{"KEY": key}, "bad key " + key + "!", "bad key ***!"},
		"lines of a value": {
			map[string]string{"KEY": key},
			"line 2: MIIEvQIBADANBg; line 3: kqhkiG9w0BAQ; line 4: EFAASC; line 5: abc",
			"line 2: ***; line 3: ***; line 4: ***; line 5: abc",
		},
		"a value with a color in it": {
			map[string]string{"PASSWORD": "correct-horse"}, "bad correct-\x1b[31mhorse", "bad ***",
		},
		"a value that has a color": {
			map[string]string{"PASSWORD": "correct-\x1b[31mhorse"}, "bad correct-\x1b[31mhorse", "bad ***",
		},
		"what a terminal acts on": {nil, "\x1b[2J\x1b]0;owned\x07refused", "refused"},
		"no value":                {nil, "refused", "refused"},
	} {
		// The order of a map differs from one run to the next.
		for range 20 {
			if got := newMask(tt.env)(tt.text); got != tt.want {
				t.Errorf("%s: %q, not %q", name, got, tt.want)
				break
			}
		}
	}
}

// Logs are indented, and no line of a value in them is shown, not even a short one.
func TestASecretOfSeveralLinesIsMaskedInLogs(t *testing.T) {
	t.Parallel()
	o := openWeb()
	o.desired.Release.Env = map[string]string{"KEY": "first-line\nabc\nlast-line"}
	o.mask = newMask(o.desired.Release.Env)
	sickly := &bluegreen.UnhealthyError{Unhealthy: 1, Size: 1, Instances: []bluegreen.UnhealthyInstance{{
		Instance: bluegreen.Instance{ID: "blue-1"},
		Logs:     []string{"the key is", "first-line", "abc", "last-line", "refused"},
	}}}
	const want = "The last lines of blue-1:\n    the key is\n    ***\n    refused"
	if detail := o.failureDiagnostic("updated", sickly, "").Detail(); !strings.Contains(detail, want) {
		t.Errorf("it does not say %q:\n%s", want, detail)
	}
}

func TestSecretsAreMaskedInEveryError(t *testing.T) {
	t.Parallel()
	o := openWeb()
	err := errors.New("starting web with SECRET=" + secret)
	warned := openWeb()
	warned.platformWarnings.add(err.Error())
	for _, detail := range []string{
		o.failureDiagnostic("updated", err, "").Detail(),
		o.warnings([]error{err})[0].Detail(),
		warned.warnings(nil)[0].Detail(),
		o.unreadableDiagnostic(err).Detail(),
		o.describeFailedCreate(errors.New("disk full"), bluegreen.Status{}, err),
		o.describeFailedUpdate(err, bluegreen.Ledger{}, bluegreen.Status{}, err),
	} {
		if strings.Contains(detail, secret) || !strings.Contains(detail, "SECRET=***") {
			t.Errorf("the secret is not masked:\n%s", detail)
		}
	}
}

// A shorter value, such as "1", would make the text unreadable.
func TestValuesAreMaskedFromTheShortestSecretOn(t *testing.T) {
	t.Parallel()
	shortest := strings.Repeat("x", shortestSecret)
	for value, isMasked := range map[string]bool{shortest[1:]: false, shortest: true} {
		masked := newMask(map[string]string{"PASSWORD": value})("connecting as " + value)
		if shown := strings.Contains(masked, value); shown == isMasked {
			t.Errorf("%q is shown: %t", value, shown)
		}
	}
}
