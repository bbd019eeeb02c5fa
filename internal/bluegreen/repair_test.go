// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"context"
	"errors"
	"slices"
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

// lame is a platform that cannot give one of the environments another size.
type lame struct {
	bluegreen.Platform
	env bluegreen.Environment
}

var errLame = errors.New("no room")

func (p lame) Scale(ctx context.Context, env bluegreen.Environment, replicas int) error {
	if env == p.env {
		return errLame
	}
	return p.Platform.Scale(ctx, env, replicas)
}

// Live has its size, whatever is the matter with the standby; that comes as a warning.
func TestScaleWithAStandbyThatCannotFollow(t *testing.T) {
	b := newBench(t)
	want := desired(b.release("2.0.0"))
	want.Release.Replicas = 3
	right := b.Platform
	b.Platform = lame{right, bluegreen.Green}
	warnings, err := b.Apply(t.Context(), b.ledger(), want)
	if err != nil || len(warnings) != 1 || !errors.Is(warnings[0], errLame) {
		t.Errorf("warnings %v, error %v", warnings, err)
	}
	status, err := b.Status(t.Context())
	if err != nil || status.Running[bluegreen.Blue] != 3 {
		t.Errorf("%d replicas of live run, %v", status.Running[bluegreen.Blue], err)
	}
	b.Platform = right
	if warnings, err := b.Apply(t.Context(), b.ledger(), want); err != nil || len(warnings) > 0 {
		t.Errorf("then: warnings %v, error %v", warnings, err)
	}
	status, err = b.Status(t.Context())
	if err != nil || status.Running[bluegreen.Green] != 3 {
		t.Errorf("%d replicas of the standby run, %v", status.Running[bluegreen.Green], err)
	}
	b.Platform = lame{right, bluegreen.Green}
	if err := b.Scale(t.Context(), 2); !errors.Is(err, errLame) {
		t.Errorf("whoever scales without a plan is told: %v", err)
	}
	b.serves("2.0.0")
}

// Nobody goes back to a release that was taken back, nor to one that is to go:
// what is left of it is nothing to repair.
func TestStandbyThatNobodyGoesBackTo(t *testing.T) {
	b := newBench(t)
	back, removed, kept := desired(b.release("2.0.0")), desired(b.release("2.0.0")), desired(b.release("2.0.0"))
	removed.KeepStandby = false
	lost := map[bluegreen.Environment]int{bluegreen.Blue: 2}
	for want, c := range map[bluegreen.Step]bluegreen.Desired{bluegreen.StepRepair: kept, bluegreen.StepRemoveStandby: removed} {
		if steps, err := b.ledger().Next(c, lost); err != nil || !slices.Equal(steps, []bluegreen.Step{want}) {
			t.Errorf("the steps are %v, %v, want %s", steps, err, want)
		}
	}
	if err := b.Rollback(t.Context(), "it is bad"); err != nil {
		t.Fatal(err)
	}
	back.Rollback = true
	lost = map[bluegreen.Environment]int{bluegreen.Green: 2}
	if steps, err := b.ledger().Next(back, lost); err != nil || len(steps) > 0 {
		t.Errorf("after the rollback the steps are %v, %v", steps, err)
	}
}

// What runs where nothing should counts, so that a plan shows it.
func TestEmptyEnvironmentAdmitsNobodyAndHidesNobody(t *testing.T) {
	nobody := func([]bluegreen.InstanceRef, bluegreen.InstanceRef) bool { return false }
	empty := bluegreen.Slot{State: bluegreen.Idle}
	if !empty.IsCounted(bluegreen.InstanceRef{ID: "green-1"}, nobody) {
		t.Error("a replica that is left over does not count")
	}
	standby := bluegreen.Slot{State: bluegreen.Idle, Release: &bluegreen.Release{}}
	if standby.IsCounted(bluegreen.InstanceRef{ID: "green-1"}, nobody) {
		t.Error("a replica of the standby counts that traffic cannot reach")
	}
}
