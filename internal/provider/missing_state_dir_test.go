// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Somebody moves the state directory away while the agent serves. A plan creates the deployment
// again, and says that what it knew is missing, that it may still run, and what to do. Once the
// directory is back, nothing has changed.
func TestMissingStateDirectoryIsSaid(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	tf := h.terraform()
	config := h.config(version("1.0.0"))
	mustBeSilent := func(output string) {
		t.Helper()
		if strings.Contains(output, "state directory") {
			t.Errorf("the directory is not missing, and it says:\n%s", output)
		}
	}
	tf.write(config)
	// Before the first apply there is none.
	mustBeSilent(tf.must("plan"))
	tf.apply(config)
	h.answers("1.0.0")

	aside := h.stateDir + "-aside"
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	move(h.stateDir, aside)
	for _, command := range [][]string{{"plan"}, {"plan", "-refresh-only"}} {
		mustContain(t, tf.must(command...), "The state directory is missing",
			fmt.Sprintf("The state directory %s does not exist", h.stateDir), "may still run",
			"put it back before you apply", "-state-dir "+h.stateDir)
	}
	move(aside, h.stateDir)
	mustBeSilent(tf.must("plan", "-detailed-exitcode"))
	h.answers("1.0.0")
}
