// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"strings"
	"testing"
)

// A plan that is applied after another operation touches nothing, and the
// next one says what happened.
func TestStalePlan(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	tf := h.terraform()
	tf.apply(h.config(version("1.0.0")))
	tf.apply(h.config(version("2.0.0")))

	tf.write(h.config(version("3.0.0")))
	tf.must("plan", "-out", "three.tfplan")
	if err := h.outsider().Rollback(t.Context(), "it lost orders"); err != nil {
		t.Fatal(err)
	}
	mustContain(t, tf.mustFail("apply", "three.tfplan"), "The plan is stale", "Nothing was touched", "Plan again")
	h.answers("1.0.0")

	mustContain(
		t,
		tf.must("plan"),
		"The deployment was rolled back",
		"2.0.0 was rolled back at",
		"by ada@example pid 1: it lost orders",
		"This plan deploys 3.0.0",
		`~ live_environment = "green" -> "blue"`,
	)
}

// Between two deployments there is no blue and green: the plan says so before what
// serves is destroyed.
func TestPlanSaysWhatAReplacementTakesAway(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	tf := h.terraform()
	tf.apply(h.config(version("1.0.0")))
	tf.write(h.config(attributes{"name": fmt.Sprintf("%q", h.name+"-2")}))
	mustContain(
		t,
		tf.must("plan"),
		"must be replaced",
		"The deployment is replaced",
		fmt.Sprintf("This plan destroys %q on local", h.name),
		fmt.Sprintf("and creates %q on local", h.name+"-2"),
		"create_before_destroy",
	)
	tf.write(h.config(version("2.0.0")))
	if output := tf.must("plan"); strings.Contains(output, "is replaced") {
		t.Errorf("another version is called a replacement:\n%s", output)
	}
	h.answers("1.0.0")
}
