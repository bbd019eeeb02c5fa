// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"errors"
	"testing"
	"time"
)

// The error of a wait that was ended says so in plain words, and is still the context's.
func TestWaitThatEndsSaysWhy(t *testing.T) {
	t.Parallel()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	expired, cancel := context.WithDeadline(t.Context(), time.Time{})
	defer cancel()
	for _, c := range []struct {
		ctx  context.Context
		is   error
		text string
	}{
		{canceled, context.Canceled, "interrupted"},
		{expired, context.DeadlineExceeded, "the time ran out"},
	} {
		for name, err := range map[string]error{
			"Pause": Pause(c.ctx, time.Hour), "Pause(0)": Pause(c.ctx, 0), "awaitChange": awaitChange(c.ctx, nil, 0),
		} {
			if !errors.Is(err, c.is) || err.Error() != c.text {
				t.Errorf("%s ends with %v, want %q", name, err, c.text)
			}
		}
	}
	if err := Pause(t.Context(), 0); err != nil {
		t.Errorf("a pause of no time ends with %v", err)
	}
}
