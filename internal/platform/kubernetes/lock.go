// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// lockedRun is a session that holds the lock, and what that holder has read or written.
type lockedRun struct {
	*cluster.Session
	// preview is the preview Service, or nil until it was read.
	preview *previewState
	// recycledFor is the ID of the live record for which the standby was recycled, or "".
	recycledFor string
}

// Lock implements bluegreen.Store.
func (p *Platform) Lock(ctx context.Context, holder string) (unlock func(), err error) {
	api, err := p.client.API()
	if err != nil {
		return nil, err
	}
	session, err := cluster.Lock(ctx, api, cluster.LeaseOptions{
		Namespace: p.opts.Namespace, Name: leaseName(p.opts.Name), Holder: holder,
		Labels: objectLabels(p.opts.Name), OwnerLabel: labelDeployment,
	})
	if err != nil {
		return nil, p.lockError(err)
	}
	run := &lockedRun{Session: session}
	p.mu.Lock()
	p.run = run
	p.mu.Unlock()
	return func() { p.unlock(run) }, nil
}

// lockError translates an error of package cluster into one of the engine.
func (p *Platform) lockError(err error) error {
	var locked *cluster.LockedError
	switch {
	case errors.As(err, &locked):
		return &bluegreen.LockedError{Holder: bluegreen.Holder{Name: locked.Holder, Since: locked.Since}}
	case errors.Is(err, cluster.ErrNotOurs):
		return &notManagedError{Object: p.leaseObject()}
	case cluster.IsNotFound(err, "namespaces", p.opts.Namespace):
		err = fmt.Errorf("there is no namespace %q in the cluster: create it first", p.opts.Namespace)
		return &OptionError{"namespace", err}
	default:
		return err
	}
}

// unlockTime limits the requests that are still to be made when the lock is given up.
const unlockTime = 5 * time.Second

func (p *Platform) unlock(run *lockedRun) {
	p.mu.Lock()
	if p.run == run {
		p.run = nil
	}
	p.mu.Unlock()
	run.Unlock(unlockTime, p.keptCopy)
}

// dropRun returns the run that holds the lock, or nil, and removes it from the platform.
func (p *Platform) dropRun() *lockedRun {
	p.mu.Lock()
	defer p.mu.Unlock()
	run := p.run
	p.run = nil
	return run
}

// requireLock returns the run that holds the lock, for a method that changes
// something.
func (p *Platform) requireLock(ctx context.Context) (*lockedRun, error) {
	run := p.currentRun()
	if run == nil {
		return nil, fmt.Errorf("%s: %w", p.opts.Name, cluster.ErrLockLost)
	}
	_, err := run.Writer(ctx)
	return run, err
}

// currentRun returns the run that holds the lock, or nil if the lock is not held.
func (p *Platform) currentRun() *lockedRun {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.run
}

// readSession returns a session for a method that changes nothing. If the lock is held,
// it is the session of the lock. Otherwise it is a new one, which release closes.
func (p *Platform) readSession(ctx context.Context) (s *cluster.Session, release func(), err error) {
	if run := p.currentRun(); run != nil {
		return run.Session, func() {}, nil
	}
	api, err := p.client.API()
	if err != nil {
		return nil, nil, err
	}
	s = cluster.NewSession(ctx, api, p.opts.Namespace)
	return s, s.Close, nil
}
