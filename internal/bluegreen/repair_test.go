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

// What somebody has removed is made again from the configuration, where it has
// the traffic; a standby, of which no configuration tells any more, is given up.
func TestRepairOfWhatIsLost(t *testing.T) {
	s := newScaledShop(t)
	s.memory.Autoscale(deployment, bluegreen.Green, 2)
	s.apply(s.desired("2.0.0"))
	s.memory.Lose(deployment, bluegreen.Blue)
	s.apply(s.desired("2.0.0"))
	s.sizes(2, 2)
	if got := s.memory.Serves(t, deployment); got != "2.0.0" {
		t.Errorf("a client is answered with %q", got)
	}
	s.memory.Lose(deployment, bluegreen.Green)
	s.apply(s.desired("2.0.0"))
	s.sizes(2, 0)
	s.idle(s.desired("2.0.0"))
}

// A preview of which nothing is left is what is configured, and comes back.
func TestRepairOfAPreviewThatIsLost(t *testing.T) {
	s := newScaledShop(t)
	next := s.desired("2.0.0")
	next.Promote = false
	s.apply(next)
	s.memory.Lose(deployment, bluegreen.Blue)
	s.apply(next)
	s.sizes(1, 1)
	s.idle(next)
	next.Promote = true
	s.apply(next)
	if got := s.memory.Serves(t, deployment); got != "2.0.0" {
		t.Errorf("a client is answered with %q", got)
	}
}

// Of a release that is not configured nobody knows how to make it again.
func TestRepairOfWhatIsLostAndForgotten(t *testing.T) {
	s := newScaledShop(t)
	s.apply(s.desired("2.0.0"))
	back := s.desired("2.0.0")
	back.Rollback = true
	s.apply(back)
	s.memory.Lose(deployment, bluegreen.Green)
	ledger, err := s.Platform.Load(t.Context())
	s.must(err)
	if _, err := s.Apply(t.Context(), ledger, back); !errors.Is(err, bluegreen.ErrNotProvisioned) {
		t.Errorf("the repair ended with: %v", err)
	}
}
