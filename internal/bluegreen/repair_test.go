// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"context"
	"errors"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// astray is a platform whose traffic goes elsewhere.
type astray struct{ bluegreen.Platform }

var errAstray = errors.New("two other endpoints get its traffic")

func (astray) AwaitTraffic(ctx context.Context, _ bluegreen.Environment) error {
	if _, bounded := ctx.Deadline(); !bounded {
		return errors.New("it is waited for without end")
	}
	return errAstray
}

// What was repaired is not repaired before clients are served by it.
func TestRepairLeadsTheTraffic(t *testing.T) {
	s := newScaledShop(t)
	s.memory.Autoscale(deployment, bluegreen.Green, 0)
	ledger, err := s.Platform.Load(t.Context())
	s.must(err)
	right := s.Platform
	s.Platform = astray{right}
	if _, err := s.Apply(t.Context(), ledger, s.desired("1.0.0")); !errors.Is(err, errAstray) {
		t.Errorf("the repair ended with: %v", err)
	}
	s.Platform = right
	s.apply(s.desired("1.0.0"))
	s.sizes(0, 1)
}
