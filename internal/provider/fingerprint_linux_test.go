// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// withPIN is a release with a secret that is short enough to try all.
var withPIN = attributes{"env": `{ PIN = "1234" }`}

// releaseWithPIN is such a release as the engine knows it.
func (h localHarness) releaseWithPIN(version, pin string) bluegreen.Release {
	return bluegreen.Release{Version: version, Image: h.image(), Env: map[string]string{"PIN": pin}}
}

const keyFile = "fingerprint-key.json"

// Who reads the ledger and the history finds no PIN by trying all of them.
func TestShortSecretCannotBeGuessedFromTheLedger(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	h.run(
		resource.TestStep{Config: h.config(version("1.0.0"), withPIN)},
		resource.TestStep{Config: h.config(version("2.0.0"), withPIN)},
		resource.TestStep{Config: h.config(version("3.0.0"), withPIN)},
		resource.TestStep{
			PreConfig: func() {
				ledger := h.status().Ledger
				if !ledger.HasRelease(ledger.Live, h.releaseWithPIN("3.0.0", "1234")) {
					t.Fatal("the test does not know the release")
				}
				for name, content := range h.files() {
					if hasKey := strings.Contains(content, string(ledger.Key)); hasKey != (name == keyFile) {
						t.Errorf("%s contains the key: %t", name, hasKey)
					}
					for pin := range 10_000 {
						for _, version := range []string{"1.0.0", "2.0.0", "3.0.0"} {
							guess := h.releaseWithPIN(version, fmt.Sprintf("%04d", pin))
							if strings.Contains(content, guess.Seal("").Fingerprint) {
								t.Fatalf("%s gives the PIN away: %04d", name, pin)
							}
						}
					}
				}
			},
			Config:   h.config(version("3.0.0"), withPIN),
			PlanOnly: true,
		},
	)
}

// downgradeFiles makes the files of the deployment those of an earlier version, which knew no
// key, and starts the agent again.
func (h localHarness) downgradeFiles() {
	h.t.Helper()
	key := h.status().Ledger.Key
	h.killAgent()
	for name, content := range h.files() {
		for _, version := range []string{"1.0.0", "2.0.0"} {
			release := h.releaseWithPIN(version, "1234")
			content = strings.ReplaceAll(content, release.Seal(key).Fingerprint, release.Seal("").Fingerprint)
		}
		if strings.Contains(content, "hmac") {
			h.t.Fatalf("%s still has a fingerprint with a key: %s", name, content)
		}
		path := filepath.Join(h.stateDir, "deployments", h.name, name)
		err := os.WriteFile(path, []byte(content), 0o600)
		if name == keyFile {
			err = os.Remove(path)
		}
		if err != nil {
			h.t.Fatal(err)
		}
	}
	h.startAgent()
}

// startAgent starts the agent as the lock does.
func (h localHarness) startAgent() {
	h.t.Helper()
	unlock, err := h.outsider().Platform.Lock(h.t.Context(), "ada@example pid 1")
	if err != nil {
		h.t.Fatal(err)
	}
	unlock()
}

// An upgrade of the provider changes nothing, and rollbacks lead to what the earlier version
// deployed.
func TestUpgradeFromFingerprintsWithoutAKey(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	h.run(
		resource.TestStep{Config: h.config(version("1.0.0"), withPIN)},
		resource.TestStep{Config: h.config(version("2.0.0"), withPIN)},
		resource.TestStep{
			PreConfig: h.downgradeFiles,
			Config:    h.config(version("2.0.0"), withPIN),
			PlanOnly:  true,
		},
		resource.TestStep{
			Config:            h.config(version("2.0.0"), withPIN, rollback(true)),
			ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
		},
		resource.TestStep{
			Config:            h.config(version("3.0.0"), withPIN),
			ConfigStateChecks: []statecheck.StateCheck{h.live("3.0.0"), h.preview("1.0.0")},
		},
		resource.TestStep{
			Config:            h.config(version("3.0.0"), withPIN, rollback(true)),
			ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
		},
	)
}

// What an operator took back before the upgrade stays back.
func TestUpgradeAfterARollbackByAnOperator(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	h.run(
		resource.TestStep{Config: h.config(version("1.0.0"), withPIN)},
		resource.TestStep{Config: h.config(version("2.0.0"), withPIN)},
		resource.TestStep{
			PreConfig: func() {
				if err := h.outsider().Rollback(t.Context(), "slow"); err != nil {
					t.Fatal(err)
				}
				h.downgradeFiles()
			},
			Config:      h.config(version("2.0.0"), withPIN),
			PlanOnly:    true,
			ExpectError: heldBack("slow"),
		},
	)
}

// The private state has the key if the agent has it no more, and the next commit brings it back.
func TestKeyThatTheAgentHasLost(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	path := filepath.Join(h.stateDir, "deployments", h.name, keyFile)
	var before []byte
	h.run(
		resource.TestStep{Config: h.config(version("1.0.0"), withPIN)},
		resource.TestStep{
			PreConfig: func() {
				h.killAgent()
				var err error
				if before, err = os.ReadFile(path); err != nil {
					t.Fatal(err)
				}
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
				h.startAgent()
			},
			Config:   h.config(version("1.0.0"), withPIN),
			PlanOnly: true,
		},
		resource.TestStep{
			Config: h.config(version("1.0.0"), withPIN, attributes{"replicas": "2"}),
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{planHas(text("deploy-1"), "deployment_id")},
			},
			ConfigStateChecks: []statecheck.StateCheck{stateHas(text("deploy-1"), "deployment_id")},
		},
		resource.TestStep{
			PreConfig: func() {
				if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
					t.Errorf("the key is not back: %v", err)
				}
			},
			Config:   h.config(version("1.0.0"), withPIN, attributes{"replicas": "2"}),
			PlanOnly: true,
		},
	)
}
