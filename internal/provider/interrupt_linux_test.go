// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"os"
	"testing"
)

// longHealthCheck gives a release that will never be healthy all the time.
var longHealthCheck = attributes{"health_check": `{ http = { path = "/healthz" }, timeout = "10m", retries = 0 }`}

// Ctrl-C during a slow health check cleans up, and says where it stopped.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	tf := h.terraform()

	tf.write(h.config(version("1.0.0"), longHealthCheck, behaving(unhealthy)))
	mustContain(t, interruptDuring(t, tf, "checking the health of 1.0.0"),
		"The operation was interrupted", "It stopped at the health check of green", "Nothing was left behind")
	if err := h.requireGone(); err != nil {
		t.Error(err)
	}

	tf.apply(h.config(version("1.0.0")))
	tf.write(h.config(version("2.0.0"), longHealthCheck, behaving(unhealthy)))
	mustContain(t, interruptDuring(t, tf, "checking the health of 2.0.0"),
		"The operation was interrupted", "It stopped at the health check of blue", "1.0.0 still serves from green")
	h.answers("1.0.0")
	if n := h.status().Running["blue"]; n != 0 {
		t.Errorf("%d replicas of the interrupted release are left", n)
	}

	tf.apply(h.config(version("2.0.0")))
	h.answers("2.0.0")
}

// Ctrl-C while the first release is watched: it serves, so it is recorded, and
// the next apply takes the watch up again.
func TestInterruptedWatch(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	tf := h.terraform()
	tf.write(h.config(version("1.0.0"), attributes{"bake_time": `"20m"`}))
	run := tf.start(t.Context(), "apply", "-auto-approve")
	if err := run.awaitPhase("watching green"); err != nil {
		t.Fatal(err)
	}
	if err := run.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	// Whether an interrupted apply without an error is a success is Terraform's.
	output, _ := run.wait()
	mustContain(t, output, "The deployment serves, but was not watched to the end")
	h.answers("1.0.0")
	mustContain(t, tf.must("show"), address)

	mustContain(
		t,
		tf.apply(h.config(version("1.0.0"), attributes{"bake_time": `"100ms"`})),
		"watching green",
		"1 changed",
	)
	tf.must("plan", "-detailed-exitcode")
}

// interruptDuring applies, and presses Ctrl-C in this phase.
func interruptDuring(t *testing.T, tf *cli, phase string) string {
	t.Helper()
	run := tf.start(t.Context(), "apply", "-auto-approve")
	if err := run.awaitPhase(phase); err != nil {
		t.Fatal(err)
	}
	if err := run.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	output, err := run.wait()
	if err == nil {
		t.Fatalf("an interrupted apply succeeded:\n%s", output)
	}
	return output
}
