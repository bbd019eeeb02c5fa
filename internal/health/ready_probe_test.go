// SPDX-License-Identifier: MPL-2.0

package health_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

// judgedInstance is an instance that its platform judges. It answers nobody.
type judgedInstance struct {
	instance
	finding error
}

var _ health.Judge = judgedInstance{}

func (i judgedInstance) Ready(context.Context) error { return i.finding }

func TestReadyTrustsThePlatform(t *testing.T) {
	t.Parallel()
	checker, err := health.New(health.Config{Ready: &health.Ready{}})
	if err != nil {
		t.Fatal(err)
	}
	if verdict := checker.Probe(t.Context(), judgedInstance{}); !verdict.IsHealthy() {
		t.Errorf("an instance that is ready: %v", verdict)
	}
	for want, target := range map[string]bluegreen.Target{
		"its pod is not ready": judgedInstance{finding: errors.New("its pod is not ready")},
		"does not judge":       instance{},
	} {
		verdict := checker.Probe(t.Context(), target)
		if cause := verdict["ready"]; cause == nil || !strings.Contains(cause.Error(), want) {
			t.Errorf("%q: %v", want, verdict)
		}
	}
}
