// SPDX-License-Identifier: MPL-2.0

package main

import (
	"strings"
	"testing"
)

func TestParseCountsTheChangesOfAnApply(t *testing.T) {
	t.Parallel()
	changed, errors := parse([]byte(
		`{"type":"change_summary","changes":{"add":1,"change":0,"remove":0,"operation":"plan"}}
not json
{"@level":"info","type":"apply_complete"}
{"@level":"info","type":"change_summary","changes":{"add":0,"change":2,"remove":1,"operation":"apply"}}
`))
	if changed != 3 || errors != nil {
		t.Errorf("got %d changed and errors %v, want 3 and none", changed, errors)
	}
}

func TestErrorOfAFailedApplyHasTerraformsErrors(t *testing.T) {
	t.Parallel()
	_, errors := parse([]byte(
		`{"type":"diagnostic","diagnostic":{"severity":"warning","summary":"Standby removed"}}` + "\n" +
			`{"type":"diagnostic","diagnostic":{"severity":"error","summary":"Health check failed",` +
			`"detail":"replica 1: GET /healthz: 503"}}` + "\n"))
	err := &diagnosticError{command: "apply", diagnostics: errors}
	if got, want := err.Summary(), "Health check failed"; got != want {
		t.Errorf("summary %q, want %q", got, want)
	}
	for _, want := range []string{"apply failed", "Health check failed: replica 1: GET /healthz: 503"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "Standby") {
		t.Errorf("%q has a warning in it", err)
	}
}
