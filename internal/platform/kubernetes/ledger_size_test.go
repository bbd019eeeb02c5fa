// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// A ledger that does not fit is refused before anything is changed.
func TestClusterLedgerWithoutRoom(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.makeLive("1.0.0", 1)
	service, err := h.api.Services(h.Namespace).Get(t.Context(), h.Deployment, metav1.GetOptions{})
	h.must(err)
	room := maxAnnotations - len("manual")
	for key, value := range service.Annotations {
		room -= len(key) + len(value)
	}
	h.patchService(fmt.Sprintf(`{"metadata":{"annotations":{"manual":%q}}}`, strings.Repeat("x", room)))
	before, err := h.platform.Load(t.Context())
	h.must(err)
	var size *SizeError
	if err := h.apply(h.desired("2.0.0", 2)); !errors.As(err, &size) {
		t.Errorf("got %v", err)
	}
	after, err := h.platform.Load(t.Context())
	h.must(err)
	if after.Generation != before.Generation || len(h.podsOf(bluegreen.Blue)) > 0 {
		t.Error("something was changed")
	}
	h.requireServes("1.0.0")
	h.patchService(`{"metadata":{"annotations":{"manual":null}}}`)
	h.makeLive("2.0.0", 1)
	h.requireServes("2.0.0")
}
