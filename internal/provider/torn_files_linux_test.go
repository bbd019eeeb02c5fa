// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"os"
	"path/filepath"
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
