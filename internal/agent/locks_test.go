// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// The next holder comes in only when the changes of the last one have stopped.
func TestLockWaitsForWhatItsHolderBegan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		freed := 0
		l := newLocks(func(string) { freed++ })
		first, err := l.acquire("web", "first")
		if err != nil {
			t.Fatal(err)
		}
		ctx, done, err := l.withToken(t.Context(), "web", first.token)
		if err != nil {
			t.Fatal(err)
		}
		go l.release("web", first.token)
		synctest.Wait()
		if !errors.Is(context.Cause(ctx), api.ErrLockLost) {
			t.Errorf("the change goes on: %v", context.Cause(ctx))
		}
		var held *bluegreen.LockedError
		if _, err := l.acquire("web", "second"); !errors.As(err, &held) || held.Holder.Name != "first" {
			t.Errorf("while the change goes on: %v", err)
		}
		if _, _, err := l.withToken(t.Context(), "web", first.token); !errors.Is(err, api.ErrLockLost) {
			t.Errorf("another change begins: %v", err)
		}
		done()
		synctest.Wait()
		if _, err := l.acquire("web", "second"); err != nil || freed != 1 {
			t.Errorf("afterwards: %v, freed %d times", err, freed)
		}
		l.release("web", first.token)
		if _, err := l.acquire("web", "third"); !errors.As(err, &held) || held.Holder.Name != "second" {
			t.Errorf("a former holder has released the lock of the next: %v", err)
		}
	})
}

func TestNoLockIsGivenByAnAgentThatLeaves(t *testing.T) {
	t.Parallel()
	l := newLocks(func(string) {})
	idle := func() bool { return true }
	held, err := l.acquire("web", "somebody")
	if err != nil {
		t.Fatal(err)
	}
	if l.closeIf(idle) {
		t.Error("it leaves while a lock is held")
	}
	l.release("web", held.token)
	if l.closeIf(func() bool { return false }) {
		t.Error("it leaves while there is something to do")
	}
	if !l.closeIf(idle) {
		t.Error("it stays")
	}
	if _, err := l.acquire("web", "late"); !errors.Is(err, api.ErrLeaving) {
		t.Errorf("a late one gets %v", err)
	}
}
