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

// operation is what the lock is held for, with what is known for as long as it is
// held.
type operation struct {
	*cluster.Session
	// preview is the preview Service, nil before it was read.
	preview *previewState
	// recycledFor is the live record for which the standby was recycled, "" for none.
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
	op := &operation{Session: session}
	p.mu.Lock()
	p.operation = op
	p.mu.Unlock()
	return func() { p.unlock(op) }, nil
}

// lockError makes the engine's error of the cluster's.
func (p *Platform) lockError(err error) error {
	var held *cluster.HeldError
	switch {
	case errors.As(err, &held):
		return &bluegreen.HolderError{Holder: bluegreen.Holder{Name: held.Holder, Since: held.Since}}
	case errors.Is(err, cluster.ErrNotOurs):
		return &NotManagedError{Object: objectName("Lease", p.opts.Namespace, leaseName(p.opts.Name))}
	case cluster.IsNotFound(err, "namespaces", p.opts.Namespace):
		err = fmt.Errorf("there is no namespace %q in the cluster: create it first", p.opts.Namespace)
		return &OptionError{"namespace", err}
	default:
		return err
	}
}

// unlockTime limits the requests that remain when the lock is given up.
const unlockTime = 5 * time.Second

func (p *Platform) unlock(op *operation) {
	p.mu.Lock()
	if p.operation == op {
		p.operation = nil
	}
	p.mu.Unlock()
	op.Unlock(unlockTime)
}

// dropOperation takes the operation away from the platform.
func (p *Platform) dropOperation() *operation {
	p.mu.Lock()
	defer p.mu.Unlock()
	op := p.operation
	p.operation = nil
	return op
}

// requireLock returns the operation that holds the lock, for a method that changes
// something.
func (p *Platform) requireLock(ctx context.Context) (*operation, error) {
	op := p.currentOperation()
	if op == nil {
		return nil, fmt.Errorf("%s: %w", p.opts.Name, cluster.ErrLockLost)
	}
	_, err := op.Writer(ctx)
	return op, err
}

// currentOperation returns the operation that holds the lock, nil without.
func (p *Platform) currentOperation() *operation {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.operation
}

// readSession returns a session for a method that changes nothing: that of the lock
// if it is held, else a new one, which release closes.
func (p *Platform) readSession(ctx context.Context) (s *cluster.Session, release func(), err error) {
	if op := p.currentOperation(); op != nil {
		return op.Session, func() {}, nil
	}
	api, err := p.client.API()
	if err != nil {
		return nil, nil, err
	}
	s = cluster.NewSession(ctx, api, p.opts.Namespace)
	return s, s.Close, nil
}
