// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Who may read Services, Leases and Events, and no Deployments, does not get the key.
func TestClusterKeyIsOnTheDeploymentsOnly(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.makeLive("1.0.0", 1)
	h.makeLive("2.0.0", 1)
	status, err := h.Status(t.Context())
	h.must(err)
	key := string(status.Ledger.Key)
	if key == "" {
		t.Fatal("the deployment has no key")
	}
	for _, env := range bluegreen.Environments() {
		name := workloadName(h.Deployment, env)
		found, err := h.api.Deployments(h.Namespace).Get(t.Context(), name, metav1.GetOptions{})
		h.must(err)
		if found.Annotations[annotationKey] != key {
			t.Errorf("the Deployment of %s does not have the key", env)
		}
		if template, err := json.Marshal(found.Spec.Template); err != nil || strings.Contains(string(template), key) {
			t.Errorf("the pods of %s have the key, or %v", env, err)
		}
	}
	services, err := h.api.Services(h.Namespace).List(t.Context(), metav1.ListOptions{})
	h.must(err)
	leases, err := h.api.Leases(h.Namespace).List(t.Context(), metav1.ListOptions{})
	h.must(err)
	for what, objects := range map[string]any{"Services": services, "Leases": leases} {
		if encoded, err := json.Marshal(objects); err != nil || strings.Contains(string(encoded), key) {
			t.Errorf("the %s have the key, or %v", what, err)
		}
	}
}

// A load with the key from the private state is one request. Without it the Deployments are
// read as well, once.
func TestClusterLoadReadsTheKeyOnce(t *testing.T) {
	t.Parallel()
	client, counter := newCountingClient(t)
	h := newHarnessWithClient(t, client)
	h.makeLive("1.0.0", 1)
	ledger, err := h.platform.Load(t.Context())
	h.must(err)
	service := "GET " + h.Deployment
	for name, tt := range map[string]struct {
		known         bluegreen.FingerprintKey
		first, second []string
	}{
		"with the key":    {ledger.Key, []string{service}, []string{service}},
		"without the key": {"", []string{"GET deployments", service}, []string{service}},
	} {
		options := h.platform.opts
		options.Key = tt.known
		other := openHarness(t, client, options)
		for _, want := range [][]string{tt.first, tt.second} {
			counter.take()
			loaded, err := other.platform.Load(t.Context())
			h.must(err)
			got := counter.take()
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%s: the requests are %q, want %q", name, got, want)
			}
			if loaded.Key != ledger.Key {
				t.Errorf("%s: the key does not come back", name)
			}
		}
	}
}
