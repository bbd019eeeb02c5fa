// SPDX-License-Identifier: MPL-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process/listener"
)

// lookGrowth is how much longer each pause is between two looks at a replica that does not listen
// yet: it is found at most some third of its boot time after it has begun to listen. One that
// listens is looked at too, because it can close its socket, and another process can take the
// port then.
const lookGrowth = 1.3

// watchPort looks who listens on the port of p until p has ended or ctx has, or another program
// supervises p.
func (s *Supervisor) watchPort(ctx context.Context, p *Process) {
	pause := listener.FirstLook
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-p.exited:
			return
		case <-ctx.Done():
			return
		case <-s.manager.duty.over.Done():
			return
		case <-timer.C:
		}
		// The view of another replica will do if it is not much older than this pause.
		if s.lookAt(p, time.Now().Add(-pause/2)) {
			s.changed()
			pause = listener.FirstLook
		}
		pause = nextPause(pause, s.Status().IsListening)
		timer.Reset(pause)
	}
}

// nextPause returns the time until the next look at a replica, after one that came after pause.
func nextPause(pause time.Duration, isListening bool) time.Duration {
	if isListening {
		return listener.LookInterval
	}
	return min(time.Duration(float64(pause)*lookGrowth), listener.LookInterval)
}

// Look finds out who listens on the port of the replica, and returns the replica as it is then.
func (s *Supervisor) Look() Status {
	s.mu.Lock()
	current := s.current
	s.mu.Unlock()
	if current != nil && s.lookAt(current, time.Now()) {
		s.changed()
	}
	return s.Status()
}

// AwaitListening returns nil once the replica listens, or the error of ctx.
func (s *Supervisor) AwaitListening(ctx context.Context) error {
	look := time.NewTicker(awaitInterval)
	defer look.Stop()
	for !s.Look().IsListening {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		}
	}
	return nil
}

// awaitInterval is how often somebody who waits looks whether a replica listens.
const awaitInterval = 20 * time.Millisecond

// lookAt finds out whether p listens, or has at begin or later, and reports whether that or its
// sockets have changed.
func (s *Supervisor) lookAt(p *Process, begin time.Time) (hasChanged bool) {
	s.looking.Lock()
	defer s.looking.Unlock()
	own, problem := p.port.look(begin)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != p {
		return false
	}
	before := s.status
	s.status.IsListening, s.status.NotListening, s.status.Listeners = problem == "", problem, own.IDs()
	switch log := s.manager.log.With("replica", s.id, "port", p.Port); {
	case s.status.IsListening == before.IsListening:
	case s.status.IsListening:
		log.Info("replica listens")
	default:
		log.Warn("replica does not listen any more", "cause", problem)
	}
	return s.status.IsListening != before.IsListening || !slices.Equal(s.status.Listeners, before.Listeners)
}

// errNotRunning is returned for a replica that has ended.
var errNotRunning = errors.New("it does not run any more")

// Dial connects to one run of the replica. It fails if anything else than the replica listens on
// its port: it is looked who listens after the connection is made, and that must be a socket that
// the replica had before.
func (s *Supervisor) Dial(ctx context.Context, incarnation string) (net.Conn, error) {
	before := s.Status()
	if !before.IsListening {
		before = s.Look()
	}
	if err := before.check(incarnation); err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", before.Address())
	if err != nil {
		return nil, err
	}
	if s.Status().check(incarnation) == nil && listener.IsOneOf(before.Port, before.Listeners) {
		return conn, nil
	}
	after := s.Look()
	if err = after.check(incarnation); err == nil && !listener.HasStayed(before.Listeners, after.Listeners) {
		err = fmt.Errorf("what listens on %s has changed meanwhile", before.Address())
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// DialListener connects to address, where a process listens with the sockets that listeners
// identify; see Status.Listeners. It is for a program that does not supervise the process. It fails
// if another socket is reached. Without listeners it is not known which it is to be.
func DialListener(ctx context.Context, address string, listeners []string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil || len(listeners) == 0 {
		return conn, err
	}
	if err := checkReached(conn.RemoteAddr(), listeners); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// checkReached returns an error unless a connection to address arrives at one of the sockets.
func checkReached(address net.Addr, listeners []string) error {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return fmt.Errorf("unexpected address type %T", address)
	}
	if listener.IsOneOf(tcp.Port, listeners) {
		return nil
	}
	table, err := listener.Read()
	if err != nil {
		return fmt.Errorf("it is not known who listens on %s: %w", address, err)
	}
	if !listener.HasStayed(listeners, table.Reached(tcp.Port).IDs()) {
		return fmt.Errorf("what listens on %s is not the replica any more", address)
	}
	return nil
}

// check returns an error unless this run of the replica listens.
func (s Status) check(incarnation string) error {
	switch {
	case !s.IsRunning || s.Incarnation != incarnation:
		return errNotRunning
	case !s.IsListening:
		return errors.New(s.NotListening)
	}
	return nil
}
