// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
)

// upgrade makes the ledger one of an earlier version, whose fingerprints need no key, and
// goes on with a process of this version.
func (h *harness) upgrade() {
	h.Helper()
	l := h.ledger()
	encoded, err := json.Marshal(l)
	if err != nil {
		h.Fatal(err)
	}
	text := string(encoded)
	for _, version := range []string{"1.0.0", "2.0.0", "3.0.0"} {
		release := h.release(version)
		text = strings.ReplaceAll(text, release.Seal(l.Key).Fingerprint, release.Seal("").Fingerprint)
	}
	if strings.Contains(text, "hmac") {
		h.Fatalf("the ledger still has a fingerprint with a key: %s", text)
	}
	var earlier bluegreen.Ledger
	if err := json.Unmarshal([]byte(text), &earlier); err != nil {
		h.Fatal(err)
	}
	earlier.Generation++
	h.memory.ForgetKey(deployment)
	h.restart("")
	unlock, err := h.Platform.Lock(h.Context(), "an earlier version")
	if err != nil {
		h.Fatal(err)
	}
	defer unlock()
	if err := h.Platform.Commit(h.Context(), earlier, nil); err != nil {
		h.Fatal(err)
	}
}

// restart goes on with another process, which has this key in its private state.
func (h *harness) restart(key bluegreen.FingerprintKey) {
	process := h.memory.Open(h, deployment)
	h.Cleanup(process.Kill)
	h.faulty = platformtest.NewFaulty(process, nil, nil)
	h.Deployer = bluegreen.NewDeployer(deployment, h.faulty, h.memory.Checker(), "ann@host (pid 2)")
	h.UseKey(key)
}

// steps returns what an apply would do.
func (h *harness) steps(want bluegreen.Desired) []bluegreen.Step {
	h.Helper()
	status, err := h.Status(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	steps, err := status.Ledger.Next(want, status.Usable())
	if err != nil {
		h.Fatal(err)
	}
	return steps
}

// An upgrade deploys nothing, and rollbacks lead to what the earlier version deployed.
func TestUpgradeOfALedgerWhoseFingerprintsNeedNoKey(t *testing.T) {
	h := newHarness(t)
	h.upgrade()
	if steps := h.steps(desired(h.release("2.0.0"))); len(steps) > 0 {
		t.Errorf("after the upgrade an apply would %v", steps)
	}
	back := desired(h.release("2.0.0"))
	back.Rollback = true
	if _, err := h.Apply(t.Context(), h.ledger(), back); err != nil {
		t.Fatal(err)
	}
	h.mustServe("1.0.0")
	if steps := h.steps(back); len(steps) > 0 {
		t.Errorf("after the rollback an apply would %v", steps)
	}
	if err := h.apply("3.0.0"); err != nil {
		t.Fatal(err)
	}
	h.restart("")
	l := h.ledger()
	if live := l.Slot(l.Live).Release; l.Key == "" || !strings.HasPrefix(live.Fingerprint, "hmac-sha256:") {
		t.Errorf("a deploy after the upgrade has the fingerprint %s", live.Fingerprint)
	}
	if steps := h.steps(desired(h.release("3.0.0"))); len(steps) > 0 {
		t.Errorf("after the deploy an apply would %v", steps)
	}
	back = desired(h.release("3.0.0"))
	back.Rollback = true
	if _, err := h.Apply(t.Context(), h.ledger(), back); err != nil {
		t.Fatal(err)
	}
	h.mustServe("1.0.0")
	if steps := h.steps(desired(h.release("1.0.0"))); len(steps) > 0 {
		t.Errorf("with what the earlier version deployed an apply would %v", steps)
	}
}

// A release that was taken back stays back, whoever wrote that down, and even if the key
// is lost.
func TestReleaseThatWasTakenBackStaysBack(t *testing.T) {
	for name, change := range map[string]func(*harness){
		"by an earlier version": (*harness).upgrade,
		"the key is lost": func(h *harness) {
			h.memory.ForgetKey(deployment)
			h.restart("")
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := rollBackByWatch(t)
			change(h)
			err := h.apply("3.0.0")
			if !matches(err, bluegreen.InvalidState, "the release of deploy-3 was rolled back") {
				t.Errorf("got %v", err)
			}
			h.mustServe("2.0.0")
			if err := h.apply("3.0.1"); err != nil {
				t.Error(err)
			}
			h.mustServe("3.0.1")
		})
	}
}

// An agent of an earlier version does not keep the key. The private state has it then.
func TestPlatformThatDoesNotKeepTheKey(t *testing.T) {
	h := newHarness(t)
	h.memory.ForgetKey(deployment)
	status, err := h.Status(t.Context())
	if err != nil || status.Ledger.Key == "" {
		t.Fatalf("the process that has deployed knows a key: %t, %v", status.Ledger.Key != "", err)
	}
	h.restart(status.Ledger.Key)
	if steps := h.steps(desired(h.release("2.0.0"))); len(steps) > 0 {
		t.Errorf("with the key in its private state, another process would %v", steps)
	}
	want := desired(h.release("2.0.0"))
	if _, err := h.Apply(t.Context(), status.Ledger, want); err != nil {
		t.Error(err)
	}
	if status, err = h.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	status.Ledger.Key = ""
	if _, err := h.Apply(t.Context(), status.Ledger, want); !errors.Is(err, bluegreen.ErrPlanStale) {
		t.Errorf("a plan that was made without the key is applied: %v", err)
	}
	h.restart("")
	if got := h.steps(desired(h.release("2.0.0"))); len(got) != 1 || got[0] != bluegreen.StepDeployAndSwitch {
		t.Errorf("without any key an apply would %v", got)
	}
}

// forgetfulPlatform is one that a program of an earlier version runs: it keeps no key.
type forgetfulPlatform struct{ bluegreen.Platform }

func (p forgetfulPlatform) Load(ctx context.Context) (bluegreen.Ledger, error) {
	l, err := p.Platform.Load(ctx)
	l.Key = ""
	return l, err
}

func (forgetfulPlatform) KeepsKey(context.Context) (bool, error) { return false, nil }

// On a platform that would lose the key, fingerprints are made without one. So a process that
// knows nothing but the platform still recognizes the release.
func TestNoKeyIsMadeForAPlatformThatLosesIt(t *testing.T) {
	memory := platformtest.NewMemory()
	open := func() *bluegreen.Deployer {
		platform := forgetfulPlatform{memory.Open(t, deployment).Platform}
		return bluegreen.NewDeployer(deployment, platform, memory.Checker(), "ann@host")
	}
	want := desired(memory.Release("1.0.0", platformtest.Healthy))
	if _, err := open().Create(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	status, err := open().Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if steps, err := status.Ledger.Next(want, status.Usable()); err != nil || len(steps) > 0 {
		t.Errorf("another process plans %v, %v", steps, err)
	}
}
