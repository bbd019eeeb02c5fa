// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The file with the key of the fingerprints is torn. A plan, an apply and a destroy work with the key
// of the Terraform state, and the last two say what was lost.
func TestTornKeyStopsNoTerraform(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	tf := h.terraform()
	tf.apply(h.config(version("1.0.0")))
	tear := func(content string) {
		t.Helper()
		h.killAgent()
		path := filepath.Join(h.stateDir, "deployments", h.name, "fingerprint-key.json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const lost = "fingerprint-key.json cannot be used"
	tear("")
	tf.must("plan")
	output := tf.apply(h.config(version("2.0.0")))
	mustContain(t, output, lost, "The next apply stores the key of the Terraform state there")
	h.answers("2.0.0")
	tf.must("plan", "-detailed-exitcode")
	tear(`{"sche`)
	mustContain(t, tf.must("destroy", "-auto-approve"), lost)
}

// The file that says what should run in live is torn. What serves goes on, and a plan says so. A
// deploy of the same release makes it known again.
func TestTornWorkloadOfLiveIsSaidByAPlan(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	tf := h.terraform()
	tf.apply(h.config(version("1.0.0")))
	h.killAgent()
	path := filepath.Join(h.stateDir, "deployments", h.name, "green", "workload.json")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tf.apply(h.config(version("1.0.0")))
	h.answers("1.0.0")
	const lost = "a replica that dies is not started again"
	mustContain(t, tf.must("plan"), lost, "not known what should run in green")
	tf.apply(h.config(version("1.0.0"), attributes{"triggers": `{ again = "1" }`}))
	h.answers("1.0.0")
	if output := tf.must("plan", "-detailed-exitcode"); strings.Contains(output, lost) {
		t.Errorf("the plan still says it:\n%s", output)
	}
}
