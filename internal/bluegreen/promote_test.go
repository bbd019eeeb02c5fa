// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"errors"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// An operator promotes the preview that an apply has left, and nothing if there is none.
func TestPromote(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepare func(h *harness)
		fails   error
		serves  string
	}{
		"a preview":  {func(h *harness) { h.deployPreview() }, nil, "3.0.0"},
		"no preview": {func(*harness) {}, bluegreen.InvalidState, "2.0.0"},
		"a preview that has been promoted already": {
			func(h *harness) {
				h.deployPreview()
				if err := h.Promote(h.Context()); err != nil {
					h.Fatal(err)
				}
			}, bluegreen.InvalidState, "3.0.0",
		},
		"a preview that has become sick": {
			func(h *harness) {
				h.deployPreview()
				h.memory.MakeUnhealthy(h, deployment, bluegreen.Green)
				h.Config.HealthCheckTimeout, h.Config.HealthCheckRetries = 100*time.Millisecond, 0
			}, bluegreen.HealthCheckFailed, "2.0.0",
		},
		"a deployment that was destroyed halfway": {
			func(h *harness) {
				h.deployPreview()
				h.fails = "Remove"
				if h.Destroy(h.Context()) == nil {
					h.Fatal("the destroy did not stop")
				}
				h.fails = ""
			}, bluegreen.InvalidState, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			test.prepare(h)
			if err := h.Promote(t.Context()); !errors.Is(err, test.fails) {
				t.Errorf("it ended with %v, want %v", err, test.fails)
			}
			h.mustServe(test.serves)
		})
	}
}

// deployPreview brings 3.0.0 to staging.
func (h *harness) deployPreview() {
	h.Helper()
	preview := desired(h.release("3.0.0"))
	preview.Promote = false
	if _, err := h.Apply(h.Context(), h.ledger(), preview); err != nil {
		h.Fatal(err)
	}
}
