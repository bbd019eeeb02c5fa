// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"testing"
)

// A plan that is applied after somebody else was at work touches nothing, and the
// next one says what happened.
func TestStalePlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tf := w.terraform()
	tf.apply(w.config(version("1.0.0")))
	tf.apply(w.config(version("2.0.0")))

	tf.write(w.config(version("3.0.0")))
	tf.must("plan", "-out", "three.tfplan")
	if err := w.outsider().Rollback(t.Context(), "it lost orders"); err != nil {
		t.Fatal(err)
	}
	says(t, tf.mustFail("apply", "three.tfplan"), "The plan is stale", "Nothing was touched", "Plan again")
	w.answers("1.0.0")

	says(t, tf.must("plan"), "The deployment was rolled back", "2.0.0 was rolled back at", "by ada@example pid 1: it lost orders", "This plan deploys 3.0.0",
		`~ live_environment = "green" -> "blue"`)
}
