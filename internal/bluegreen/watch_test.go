// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// waiting is a platform whose traffic is on its way until nobody waits for it.
type waiting struct {
	bluegreen.Platform
	begun chan<- struct{}
}

func (w waiting) AwaitTraffic(ctx context.Context, _ bluegreen.Environment) error {
	w.begun <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

// Whoever takes up the watch that an interrupt left may be interrupted too. That
// says nothing about the release, which serves.
func TestInterruptWhileTheWatchIsTakenUp(t *testing.T) {
	b := newBench(t)
	b.Config.BakeTime = 1 << 40
	ctx, interrupt := context.WithCancel(t.Context())
	b.Progress = func(message string) {
		if strings.HasPrefix(message, "watching") {
			interrupt()
		}
	}
	if err := b.DeployAndSwitch(ctx, b.release("3.0.0")); !errors.Is(err, bluegreen.Interrupted) {
		t.Fatalf("got %v", err)
	}
	b.serves("3.0.0")

	begun := make(chan struct{}, 1)
	right := b.Platform
	b.Platform = waiting{right, begun}
	ctx, interrupt = context.WithCancel(t.Context())
	go func() { <-begun; interrupt() }()
	if _, err := b.Apply(ctx, b.ledger(), desired(b.release("3.0.0"))); !errors.Is(err, bluegreen.Interrupted) {
		t.Errorf("got %v", err)
	}
	b.serves("3.0.0")
	b.Platform, b.Config.BakeTime = right, 0
	if _, err := b.Apply(t.Context(), b.ledger(), desired(b.release("3.0.0"))); err != nil {
		t.Error(err)
	}
	b.serves("3.0.0")
}

// An automatic rollback does not say that traffic is back before it is.
func TestAutomaticRollbackThatTheTrafficDoesNotFollow(t *testing.T) {
	b := newBench(t)
	b.Config.BakeTime = 1 << 40
	right := b.Platform
	b.Progress = func(message string) {
		switch {
		case strings.HasPrefix(message, "watching"):
			b.memory.Sicken(t, deployment, bluegreen.Green)
		case strings.HasPrefix(message, "rolling back"):
			b.Platform = astray{right}
		}
	}
	err := b.DeployAndSwitch(t.Context(), b.release("3.0.0"))
	if !errors.Is(err, bluegreen.HealthCheckFailed) || !strings.Contains(err.Error(), "traffic was switched back to 2.0.0 and has not reached it") {
		t.Errorf("got %v", err)
	}
}

// A watch that is taken up finds the traffic elsewhere. The release before it has
// been removed meanwhile, or is not ready: nothing is led there.
func TestWatchGoesBackToNothing(t *testing.T) {
	for what, spoil := range map[string]func(*bench){
		"gone":      func(b *bench) { b.memory.Lose(deployment, bluegreen.Blue) },
		"not ready": func(b *bench) { b.memory.Judge(deployment, bluegreen.Verdict{"ready": errStarting}, bluegreen.Blue) },
	} {
		t.Run(what, func(t *testing.T) {
			b := newBench(t)
			b.Config.BakeTime = 1 << 40
			ctx, interrupt := context.WithCancel(t.Context())
			b.Progress = func(message string) {
				if strings.HasPrefix(message, "watching") {
					interrupt()
				}
			}
			if err := b.DeployAndSwitch(ctx, b.release("3.0.0")); !errors.Is(err, bluegreen.Interrupted) {
				t.Fatal(err)
			}
			spoil(b)
			right := b.Platform
			b.Platform = astray{right}
			_, err := b.Apply(t.Context(), b.ledger(), desired(b.release("3.0.0")))
			if !errors.Is(err, bluegreen.SwitchFailed) || !strings.Contains(err.Error(), "cannot be put back to blue") {
				t.Errorf("got %v", err)
			}
			b.serves("3.0.0")
			b.Platform, b.Config.BakeTime = right, 0
			if _, err := b.Apply(t.Context(), b.ledger(), desired(b.release("3.0.0"))); err != nil {
				t.Error(err)
			}
			b.serves("3.0.0")
		})
	}
}
