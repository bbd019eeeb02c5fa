// SPDX-License-Identifier: MPL-2.0

package platformtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Fault is how one call on a platform fails.
type Fault string

const (
	// Fails: the call does nothing and returns an error.
	Fails Fault = "fails"
	// AnswerLost: the call does its work and returns an error nevertheless.
	AnswerLost Fault = "answer lost"
	// DiesBefore: the process dies before the call.
	DiesBefore Fault = "dies before"
	// DiesAfter: the process dies when the call has done its work.
	DiesAfter Fault = "dies after"
)

// Faults lists every fault.
func Faults() []Fault { return []Fault{Fails, AnswerLost, DiesBefore, DiesAfter} }

// ErrInjected is the error of a call with a fault.
var ErrInjected = errors.New("injected fault")

// Faulty is the platform of a process whose calls fail on purpose. Once the process
// has died, its calls have no effect.
type Faulty struct {
	platform bluegreen.Platform
	kill     func()
	// inject returns the fault of the n-th call, counted from 1; "" means none.
	inject func(n int, method string) Fault
	// committed is called after every commit that was written.
	committed func(bluegreen.Ledger)

	mu    sync.Mutex
	calls []string
	dead  bool
}

var (
	_ bluegreen.Platform  = (*Faulty)(nil)
	_ bluegreen.Readiness = (*Faulty)(nil)
)

// NewFaulty wraps the platform of process. inject returns the fault of the n-th call,
// counted from 1, or "". committed is called after every commit that was written. Both
// may be nil.
func NewFaulty(
	process Process, inject func(n int, method string) Fault, committed func(bluegreen.Ledger),
) *Faulty {
	return &Faulty{platform: process.Platform, kill: process.Kill, inject: inject, committed: committed}
}

// Calls lists the methods called so far.
func (f *Faulty) Calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.calls...)
}

// IsDead reports whether the process has died.
func (f *Faulty) IsDead() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

// call runs work as the next call, with the fault that is injected there.
func (f *Faulty) call(method string, work func() error) error {
	fault, err := f.next(method)
	if err != nil {
		return err
	}
	switch fault {
	case Fails:
		return fmt.Errorf("%s: %w", method, ErrInjected)
	case AnswerLost:
		if err := work(); err != nil {
			return err
		}
		return fmt.Errorf("%s: %w", method, ErrInjected)
	case DiesBefore:
		return f.die(method)
	case DiesAfter:
		_ = work() // A dead process reads no answer.
		return f.die(method)
	default:
		return work()
	}
}

func (f *Faulty) next(method string) (Fault, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return "", fmt.Errorf("%s of a dead process: %w", method, ErrInjected)
	}
	f.calls = append(f.calls, method)
	if f.inject == nil {
		return "", nil
	}
	return f.inject(len(f.calls), method), nil
}

func (f *Faulty) die(method string) error {
	f.mu.Lock()
	f.dead = true
	f.mu.Unlock()
	f.kill()
	return fmt.Errorf("the process died at %s: %w", method, ErrInjected)
}

func (f *Faulty) Load(ctx context.Context) (l bluegreen.Ledger, err error) {
	err = f.call("Load", func() (err error) { l, err = f.platform.Load(ctx); return err })
	return l, err
}

func (f *Faulty) Commit(ctx context.Context, next bluegreen.Ledger, closed []bluegreen.Record) error {
	return f.call("Commit", func() error {
		err := f.platform.Commit(ctx, next, closed)
		if err == nil && f.committed != nil {
			f.committed(next)
		}
		return err
	})
}

func (f *Faulty) History(ctx context.Context) (records []bluegreen.Record, err error) {
	err = f.call("History", func() (err error) { records, err = f.platform.History(ctx); return err })
	return records, err
}

func (f *Faulty) Erase(ctx context.Context) error {
	return f.call("Erase", func() error { return f.platform.Erase(ctx) })
}

func (f *Faulty) Lock(ctx context.Context, holder string) (unlock func(), err error) {
	err = f.call("Lock", func() (err error) { unlock, err = f.platform.Lock(ctx, holder); return err })
	if err != nil && unlock != nil && !f.IsDead() {
		// The lock is a connection, and ends when the answer is lost.
		unlock()
	}
	return unlock, err
}

func (f *Faulty) Prepare(ctx context.Context, release bluegreen.Release) (digest string, err error) {
	err = f.call("Prepare", func() (err error) { digest, err = f.platform.Prepare(ctx, release); return err })
	return digest, err
}

func (f *Faulty) Provision(
	ctx context.Context, env bluegreen.Environment, release bluegreen.Release,
) (digest string, err error) {
	err = f.call("Provision", func() (err error) { digest, err = f.platform.Provision(ctx, env, release); return err })
	return digest, err
}

// Restart does nothing on a platform that cannot start an instance again.
func (f *Faulty) Restart(ctx context.Context, env bluegreen.Environment, instance bluegreen.Instance) error {
	return f.call("Restart", func() error {
		platform, ok := f.platform.(bluegreen.Restarter)
		if !ok {
			return nil
		}
		return platform.Restart(ctx, env, instance)
	})
}

func (f *Faulty) Scale(ctx context.Context, env bluegreen.Environment, replicas int) error {
	return f.call("Scale", func() error { return f.platform.Scale(ctx, env, replicas) })
}

// Instances does not count as a call when a check makes it, because how often a check
// does depends on the load of the machine. Neither does Dial.
func (f *Faulty) Instances(ctx context.Context, env bluegreen.Environment) (instances []bluegreen.Instance, err error) {
	if ctx.Value(checking{}) != nil {
		if f.IsDead() {
			return nil, ErrInjected
		}
		return f.platform.Instances(ctx, env)
	}
	err = f.call("Instances", func() (err error) { instances, err = f.platform.Instances(ctx, env); return err })
	return instances, err
}

// Dial does not count as a call; see Instances.
func (f *Faulty) Dial(ctx context.Context, instance bluegreen.Instance) (net.Conn, error) {
	if f.IsDead() {
		return nil, ErrInjected
	}
	return f.platform.Dial(ctx, instance)
}

// AwaitReady does not count as a call; see Instances.
func (f *Faulty) AwaitReady(ctx context.Context, instance bluegreen.Instance) bluegreen.Verdict {
	if platform, ok := f.platform.(bluegreen.Readiness); ok && !f.IsDead() {
		return platform.AwaitReady(ctx, instance)
	}
	return nil
}

// Ready does not count as a call; see Instances.
func (f *Faulty) Ready(ctx context.Context, instance bluegreen.Instance) bluegreen.Verdict {
	if platform, ok := f.platform.(bluegreen.Readiness); ok && !f.IsDead() {
		return platform.Ready(ctx, instance)
	}
	return nil
}

func (f *Faulty) Exec(ctx context.Context, instance bluegreen.Instance, command []string) error {
	return f.call("Exec", func() error { return f.platform.Exec(ctx, instance, command) })
}

func (f *Faulty) Logs(ctx context.Context, instance bluegreen.Instance, n int) (lines []string, err error) {
	err = f.call("Logs", func() (err error) { lines, err = f.platform.Logs(ctx, instance, n); return err })
	return lines, err
}

func (f *Faulty) AwaitTraffic(ctx context.Context, env bluegreen.Environment) error {
	return f.call("AwaitTraffic", func() error { return f.platform.AwaitTraffic(ctx, env) })
}

// CanReceiveTraffic does no I/O and never has a fault.
func (f *Faulty) CanReceiveTraffic(passed []bluegreen.InstanceRef, instance bluegreen.InstanceRef) bool {
	return f.platform.CanReceiveTraffic(passed, instance)
}

func (f *Faulty) Drain(ctx context.Context, env bluegreen.Environment) error {
	return f.call("Drain", func() error { return f.platform.Drain(ctx, env) })
}

func (f *Faulty) Remove(ctx context.Context, env bluegreen.Environment) error {
	return f.call("Remove", func() error { return f.platform.Remove(ctx, env) })
}

func (f *Faulty) Observe(ctx context.Context) (status bluegreen.Status, err error) {
	err = f.call("Observe", func() (err error) { status, err = f.platform.Observe(ctx); return err })
	return status, err
}
