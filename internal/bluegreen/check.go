// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// check proves the release in staging healthy and notes the evidence.
func (s *session) check(ctx context.Context) (HealthResult, error) {
	env := s.ledger.Staging()
	slot := s.ledger.Slot(env)
	if slot.State != Ready {
		return HealthResult{}, invalid("health check", env, "it is %s, not ready", slot.State)
	}
	s.progress("checking the health of %s in %s", slot.Release.Version, env)
	result, err := s.prove(ctx, env)
	if err != nil && len(result.Details) == 0 {
		return result, s.failure("health check", env, err)
	}
	next, transitionErr := s.ledger.checked(result)
	if transitionErr != nil {
		return result, transitionErr
	}
	if err != nil {
		// The evidence is committed together with the failure, by undoOnError.
		s.ledger = next
		return result, s.failure("health check", env, err)
	}
	return result, s.failure("health check", env, s.commit(ctx, next))
}

// prove makes one attempt after the other until enough of the instances in env
// are healthy, the attempts are used up, or so many have exited that no
// further attempt can succeed.
func (s *session) prove(ctx context.Context, env Environment) (HealthResult, error) {
	began := s.Now()
	for attempt := 0; ; attempt++ {
		found, err := s.attempt(ctx, env)
		if err != nil {
			return HealthResult{}, err
		}
		result := found.result(s.Now().Sub(began))
		if result.Healthy {
			return result, nil
		}
		if ctx.Err() != nil {
			return result, fmt.Errorf("%w while %w", ctx.Err(), found.unhealthy())
		}
		if attempt >= s.Config.HealthCheckRetries || found.hopeless() {
			return result, s.withLogs(ctx, found.unhealthy())
		}
		s.progress("attempt %d of %d: %v", attempt+1, s.Config.HealthCheckRetries+1, found.unhealthy())
	}
}

// finding is what one attempt found out.
type finding struct {
	size, required int
	outcomes       []outcome
}

// outcome is how one instance did.
type outcome struct {
	instance Instance
	verdict  Verdict
	exit     error
	// cut is set when the attempt was lost before this instance was decided.
	cut bool
}

// attempt probes every instance of env until it passes or the attempt's time is over.
func (s *session) attempt(ctx context.Context, env Environment) (finding, error) {
	attempting, cancel := context.WithTimeout(ctx, s.Config.HealthCheckTimeout)
	defer cancel()
	instances, err := s.Platform.Instances(attempting, env)
	if err != nil {
		return finding{}, err
	}
	release := s.ledger.Slot(env).Release
	size := release.size(instances)
	f := finding{size: max(size, len(instances)), required: required(size, s.Config.MinHealthyPercent)}
	outcomes := make(chan outcome)
	for _, instance := range instances {
		go func() {
			t := &target{platform: s.Platform, env: env, instance: instance}
			o := outcome{instance: instance, verdict: s.awaitHealthy(attempting, t)}
			if exit := t.exit.Load(); exit != nil && !o.verdict.IsHealthy() {
				o.exit = *exit
			}
			outcomes <- o
		}()
	}
	gone := 0
	for range instances {
		o := <-outcomes
		if release.Autoscaled && errors.Is(o.exit, errGone) {
			gone++
			continue
		}
		o.cut = f.hopeless() && o.exit == nil
		f.outcomes = append(f.outcomes, o)
		if f.hopeless() {
			cancel()
		}
	}
	if gone > 0 {
		// Whoever decides on the size has taken them away, or others are in their place.
		now, err := s.Platform.Instances(ctx, env)
		if err != nil {
			return finding{}, err
		}
		f.size = max(f.size-gone, len(now), 1)
		f.required = required(f.size, s.Config.MinHealthyPercent)
	}
	slices.SortFunc(f.outcomes, func(a, b outcome) int { return strings.Compare(a.instance.ID, b.instance.ID) })
	return f, nil
}

// hopeless reports whether so many instances have exited that too few are left.
func (f finding) hopeless() bool {
	exited := 0
	for _, o := range f.outcomes {
		if o.exit != nil {
			exited++
		}
	}
	return f.size-exited < f.required
}

func (f finding) result(duration time.Duration) HealthResult {
	r := HealthResult{Details: map[string]bool{}, Duration: duration}
	for _, o := range f.outcomes {
		if o.verdict.IsHealthy() {
			r.Instances = append(r.Instances, o.instance.Ref())
		}
		for check, cause := range o.verdict {
			name := o.instance.ID + " " + check
			r.Details[name] = cause == nil
			if cause == nil {
				r.ChecksPassed++
				continue
			}
			r.ChecksFailed++
			if r.Causes == nil {
				r.Causes = map[string]string{}
			}
			r.Causes[name] = cause.Error()
		}
	}
	r.Healthy = len(r.Instances) >= f.required
	return r
}

func (f finding) unhealthy() *UnhealthyError {
	e := &UnhealthyError{Size: f.size}
	healthy := 0
	for _, o := range f.outcomes {
		if o.verdict.IsHealthy() {
			healthy++
			continue
		}
		e.Instances = append(e.Instances, UnhealthyInstance{Instance: o.instance, Causes: o.verdict, Exit: o.exit, cut: o.cut})
	}
	e.Unhealthy = f.size - healthy
	return e
}

// UnhealthyError says which instances of an environment did not become or stay healthy.
type UnhealthyError struct {
	// Unhealthy of Size instances failed. Those that do not exist count too.
	Unhealthy, Size int
	Instances       []UnhealthyInstance
}

// UnhealthyInstance is an instance that failed its health check.
type UnhealthyInstance struct {
	Instance Instance
	// Causes is the last cause of each check.
	Causes Verdict
	// Exit is how the instance ended, or nil where it runs.
	Exit error
	// Logs are the last lines that it wrote. They are shown and never kept.
	Logs []string
	cut  bool
}

func (e *UnhealthyError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d replicas unhealthy", e.Unhealthy, e.Size)
	for i, instance := range e.Instances {
		if i == 0 {
			b.WriteString(": ")
		} else {
			b.WriteString("; ")
		}
		b.WriteString("replica " + instance.String())
	}
	if missing := e.Unhealthy - len(e.Instances); missing > 0 {
		fmt.Fprintf(&b, "; %d missing", missing)
	}
	return b.String()
}

// String is one line: the instance and how it failed.
func (i UnhealthyInstance) String() string {
	var failing, causes []string
	for _, check := range slices.Sorted(maps.Keys(i.Causes)) {
		if cause := i.Causes[check]; cause != nil {
			failing = append(failing, check)
			causes = append(causes, fmt.Sprintf("%s: %v", check, cause))
		}
	}
	switch {
	case i.Exit != nil:
		return fmt.Sprintf("%s: %v before it passed %s", i.Instance.ID, i.Exit, strings.Join(failing, ", "))
	case i.cut:
		return i.Instance.ID + ": not waited for any longer"
	case len(causes) == 0:
		return i.Instance.ID + ": no check gave a result"
	default:
		return i.Instance.ID + ": " + strings.Join(causes, ", ")
	}
}

// logLines is how many of an unhealthy instance's last lines an error shows.
const logLines = 10

func (s *session) withLogs(ctx context.Context, e *UnhealthyError) error {
	for i := range e.Instances {
		lines, err := s.Platform.Logs(ctx, e.Instances[i].Instance, logLines)
		if err == nil {
			e.Instances[i].Logs = lines
		}
	}
	return e
}

// target is an instance as its checks see it.
type target struct {
	platform Platform
	env      Environment
	instance Instance
	exit     atomic.Pointer[error]
}

var _ Target = (*target)(nil)

func (t *target) ID() string { return t.instance.ID }

func (t *target) Dial(ctx context.Context) (net.Conn, error) {
	return t.platform.Dial(ctx, t.instance)
}

// DialPort connects to another port of the instance, where the platform can.
func (t *target) DialPort(ctx context.Context, port int) (net.Conn, error) {
	dialer, ok := t.platform.(PortDialer)
	if !ok {
		return nil, errors.New("this platform reaches no port but the one that the instance serves")
	}
	return dialer.DialPort(ctx, t.instance, port)
}

func (t *target) Exec(ctx context.Context, command []string) error {
	return t.platform.Exec(ctx, t.instance, command)
}

func (t *target) Exited(ctx context.Context) error {
	instances, err := t.platform.Instances(ctx, t.env)
	var exit error
	if err == nil {
		exit = exitOf(instances, t.instance)
	} // Otherwise nobody knows whether it runs, and the checks go on.
	if exit != nil {
		t.exit.Store(&exit)
	}
	return exit
}

// errGone is how an instance ended of which nothing is left to ask.
var errGone = errors.New("exited")

// exitOf returns how this run of instance ended, or nil while it is among instances and runs.
func exitOf(instances []Instance, instance Instance) error {
	for _, now := range instances {
		if now.ID != instance.ID {
			continue
		}
		switch {
		case now.Running && now.Ref() == instance.Ref():
			return nil
		case now.Exit != "":
			return errors.New("exited: " + now.Exit)
		}
	}
	return errGone
}

func runningOf(instances []Instance) []Instance {
	var running []Instance
	for _, i := range instances {
		if i.Running {
			running = append(running, i)
		}
	}
	return running
}
