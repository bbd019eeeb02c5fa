// SPDX-License-Identifier: MPL-2.0

//go:build unix

package process

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// noProcess is a pid that no system gives.
const noProcess = 1 << 30

// supervised returns a supervisor of a process that no signal ends, as one that waits for a
// disk, until end is called.
func supervised(t *testing.T) (s *Supervisor, end func()) {
	t.Helper()
	state := State{Incarnation: "first", PID: noProcess, Port: 20000}
	p := &Process{State: state, exited: make(chan struct{}), tree: &tree{run: state}, duty: newDuty()}
	s = NewManager(slog.New(slog.DiscardHandler)).Supervise("green-1", t.TempDir(), Spec{}, p, nil, func() {})
	return s, func() { close(p.exited) }
}

// A process that SIGKILL does not end is named, and nothing waits for it for ever. Once the
// system lets it end, the replica can be removed.
func TestProcessThatCannotBeKilledIsNamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, end := supervised(t)
		began := time.Now()
		err := s.Stop(t.Context())
		const want = "green-1 (process 1073741824) has not ended 10s after SIGKILL"
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "restart the machine") {
			t.Errorf("the error is %v", err)
		}
		if took := time.Since(began); took != DefaultStopTimeout+killGrace {
			t.Errorf("it took %s", took)
		}
		end()
		if err := s.Stop(t.Context()); err != nil {
			t.Errorf("once it has ended: %v", err)
		}
	})
}

func TestInterruptedStopNamesTheProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, end := supervised(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := s.Stop(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "green-1 (process 1073741824)") {
			t.Errorf("the error is %v", err)
		}
		end()
		if err := s.Stop(t.Context()); err != nil {
			t.Errorf("once it has ended: %v", err)
		}
	})
}
