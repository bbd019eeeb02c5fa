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
	s := newHarness(t)
	s.makeLive("1.0.0", 1)
	service, err := s.api.Services(s.Namespace).Get(t.Context(), s.Deployment, metav1.GetOptions{})
	s.must(err)
	room := maxAnnotations - len("manual")
	for key, value := range service.Annotations {
		room -= len(key) + len(value)
	}
	s.patchService(fmt.Sprintf(`{"metadata":{"annotations":{"manual":%q}}}`, strings.Repeat("x", room)))
	before, err := s.platform.Load(t.Context())
	s.must(err)
	var size *SizeError
	if err := s.apply(s.desired("2.0.0", 2)); !errors.As(err, &size) {
		t.Errorf("got %v", err)
	}
	after, err := s.platform.Load(t.Context())
	s.must(err)
	if after.Generation != before.Generation || len(s.podsOf(bluegreen.Blue)) > 0 {
		t.Error("something was changed")
	}
	s.requireServes("1.0.0")
	s.patchService(`{"metadata":{"annotations":{"manual":null}}}`)
	s.makeLive("2.0.0", 1)
	s.requireServes("2.0.0")
}
