// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync/atomic"
)

// probedInstance is an instance of a Platform as its health checks reach it.
type probedInstance struct {
	platform Platform
	env      Environment
	instance Instance
	// exit is what Exited returned last, if the instance had ended.
	exit atomic.Pointer[error]
}

var _ Target = (*probedInstance)(nil)

func (t *probedInstance) ID() string { return t.instance.ID }

func (t *probedInstance) Dial(ctx context.Context) (net.Conn, error) {
	return t.platform.Dial(ctx, t.instance)
}

// DialPort connects to another port of the instance, if the platform can.
func (t *probedInstance) DialPort(ctx context.Context, port int) (net.Conn, error) {
	dialer, ok := t.platform.(PortDialer)
	if !ok {
		return nil, errors.New("this platform can connect only to the port that the instance serves")
	}
	return dialer.DialPort(ctx, t.instance, port)
}

func (t *probedInstance) Exec(ctx context.Context, command []string) error {
	return t.platform.Exec(ctx, t.instance, command)
}

// Ready returns what the platform finds wrong with the instance. A platform that does not judge it
// is an error too.
func (t *probedInstance) Ready(ctx context.Context) error {
	var verdict Verdict
	if platform, ok := t.platform.(Readiness); ok {
		verdict = platform.Ready(ctx, t.instance)
	}
	if len(verdict) == 0 {
		return errors.New("the platform does not judge whether this instance is ready")
	}
	var causes []error
	for _, name := range slices.Sorted(maps.Keys(verdict)) {
		causes = append(causes, verdict[name])
	}
	return errors.Join(causes...)
}

func (t *probedInstance) Exited(ctx context.Context) error {
	instances, err := t.platform.Instances(ctx, t.env)
	var exit error
	if err == nil {
		exit = exitOf(instances, t.instance)
	} // Otherwise it is unknown whether it runs, and the checks go on.
	if exit != nil {
		t.exit.Store(&exit)
	}
	return exit
}

// errRestarted is wrapped by how an instance ended that runs again.
var errRestarted = errors.New("restarted")

// restartOf returns how the run before this one of instance ended.
func restartOf(instance Instance) error {
	if instance.Exit == "" {
		return errRestarted
	}
	return fmt.Errorf("%w after it exited: %s", errRestarted, instance.Exit)
}

// errGone is how an instance ended that the platform does not list any more.
var errGone = errors.New("exited")

// exitOf returns how this run of instance ended. It returns nil while the run is
// among instances and has not exited.
func exitOf(instances []Instance, instance Instance) error {
	for _, now := range instances {
		if now.ID != instance.ID {
			continue
		}
		switch {
		case now.Running && now.Ref() == instance.Ref(), now.Pending && instance.Pending:
			return nil
		case now.Exit != "":
			return errors.New("exited: " + now.Exit)
		}
	}
	return errGone
}

// runningOf returns those of instances that run.
func runningOf(instances []Instance) []Instance {
	var running []Instance
	for _, i := range instances {
		if i.Running {
			running = append(running, i)
		}
	}
	return running
}
