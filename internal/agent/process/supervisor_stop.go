// SPDX-License-Identifier: MPL-2.0

package process

import (
	"context"
	"fmt"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
)

// End stops the process of a replica that is not to run any more, and does not wait for it. Stop
// must be called as well.
func (s *Supervisor) End() { s.cancel() }

// Ended is closed when the process has ended for good.
func (s *Supervisor) Ended() <-chan struct{} { return s.stopped }

// AwaitEnd ends the process, as End does, and returns when all that the replica has started has
// ended. A process that SIGKILL does not end is an error, which names the process.
func (s *Supervisor) AwaitEnd(ctx context.Context) error {
	s.cancel()
	if err := s.awaitStop(ctx); err != nil {
		return err
	}
	if err := s.left.end(strayGrace); err != nil {
		return fmt.Errorf("%s: %w. %s", s.id, err, heldAdvice)
	}
	return nil
}

// Stop is AwaitEnd, and removes the files of the replica. The process ends even if ctx does before;
// then Stop must be called again to remove the files.
func (s *Supervisor) Stop(ctx context.Context) error {
	if err := s.AwaitEnd(ctx); err != nil {
		return err
	}
	if err := s.manager.checkFiles(); err != nil {
		return err
	}
	if err := s.manager.outputs.file(s.logPath()).Close(); err != nil {
		return fmt.Errorf("closing the log of %s: %w", s.id, err)
	}
	// The replica may have made directories that nobody may write to.
	if err := durable.RemoveTree(ctx, s.dir); err != nil {
		return fmt.Errorf("removing %s: %w", s.id, err)
	}
	return nil
}

// awaitStop waits until the process has ended for good.
func (s *Supervisor) awaitStop(ctx context.Context) error {
	overdue := time.NewTimer(s.stopTimeout() + killGrace)
	defer overdue.Stop()
	select {
	case <-s.stopped:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping %s: %w", s.describe(), ctx.Err())
	case <-s.manager.duty.over.Done():
		return fmt.Errorf("stopping %s: %w", s.describe(), errLetGo)
	case <-overdue.C:
		return fmt.Errorf("%s has not ended %s after SIGKILL. %s", s.describe(), killGrace, heldAdvice)
	}
}

// stopTimeout is how long the process, if there is one, may take to end after its stop signal.
func (s *Supervisor) stopTimeout() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	settings := s.spec.Settings
	if s.current != nil {
		settings = settings.stopOf(s.current.State)
	}
	return settings.stopTimeout()
}

// heldAdvice follows what SIGKILL has not ended.
const heldAdvice = "The system holds it, for example because a disk or a network file system does not answer: " +
	"repair that or restart the machine, and try again"

// describe names the replica, and its process while there is one.
func (s *Supervisor) describe() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		return s.id
	}
	return fmt.Sprintf("%s (process %d)", s.id, s.current.PID)
}

// Restart ends this run of the process and waits until the process is started again, as
// after a crash. It does nothing if the process does not run or already runs again.
func (s *Supervisor) Restart(ctx context.Context, incarnation string) error {
	if err := s.manager.checkFiles(); err != nil {
		return fmt.Errorf("%s runs on, because it could not be started again: %w", s.id, err)
	}
	again := make(chan struct{})
	s.mu.Lock()
	current := s.current
	if current == nil || current.Incarnation != incarnation {
		s.mu.Unlock()
		return nil
	}
	s.awaitingRun = append(s.awaitingRun, again)
	s.mu.Unlock()
	go s.settings().Terminate(current)
	select {
	case <-ctx.Done():
		return fmt.Errorf("starting %s again: %w", s.id, ctx.Err())
	case <-s.manager.duty.over.Done():
		return fmt.Errorf("starting %s again: %w", s.id, errLetGo)
	case <-s.stopped:
		return nil
	case <-again:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.startErr != nil {
		return fmt.Errorf("starting %s again: %w", s.id, s.startErr)
	}
	return nil
}
