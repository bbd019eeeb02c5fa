// SPDX-License-Identifier: MPL-2.0

package local_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// serviceFlags are those of the unit.
var serviceFlags = []string{"-service", "-take-over"}

// newServiceOfUnit returns a deployment whose agent is started as the unit starts it. The service
// manager keeps the sockets of live and of the preview.
func newServiceOfUnit(t *testing.T) (*serviceManager, *unitProcess, *service) {
	t.Helper()
	manager := newServiceManager(t, filepath.Join(t.TempDir(), "notify"))
	s := newServiceIn(t, agenttest.StateDir(t), "web", local.Frontend{DrainTimeout: longTimeout})
	unit := manager.start(s.dir, nil, serviceFlags...)
	s.deployLive("1.0.0", 2)
	agenttest.Eventually(t, func() error {
		if names := manager.names(); len(names) != 2 {
			return fmt.Errorf("it keeps %v", names)
		}
		return nil
	})
	return manager, unit, s
}

// mustRunOn fails the test unless the replicas are those of before.
func (s *service) mustRunOn(before any) {
	s.Helper()
	if after := s.runs(bluegreen.Green); fmt.Sprint(after) != fmt.Sprint(before) {
		s.Errorf("the replicas were %v and are %v", before, after)
	}
}

// The service manager starts the next agent when the process that it has started has ended. That
// does not wait for what is in flight, and clients wait no longer than the start takes.
func TestRestartOfTheServiceDoesNotWaitForStreams(t *testing.T) {
	t.Parallel()
	manager, unit, s := newServiceOfUnit(t)
	replicas := s.runs(bluegreen.Green)
	stream := s.startRequest()
	unit.end(syscall.SIGTERM)
	client := request(t, s.endpoint())
	manager.start(s.dir, nil, serviceFlags...)
	if got, err := client.answer(); err != nil || got != "1.0.0" {
		t.Errorf("a client is answered %q, %v", got, err)
	}
	s.must(stream.finish())
	s.mustRunOn(replicas)
	s.deployLive("2.0.0", 1)
}

// The service is restarted again and again under load. The service manager keeps the sockets, so no
// connection is refused, and what is in flight goes on.
func TestServiceRestartsUnderLoad(t *testing.T) {
	t.Parallel()
	manager, unit, service := newServiceOfUnit(t)
	s := &restarted{service, service.endpoint()}
	clients := s.startClients(s.keepAlive, s.reconnect, s.callGRPC)
	streams := s.startClients(s.watchEvents, s.talk, s.watchGRPC)
	s.requireNone(s.restartRepeatedly(func() {
		unit.end(syscall.SIGTERM)
		unit = manager.start(s.dir, nil, serviceFlags...)
	}))
	clients.stop()
	streams.stop()
}

// If the process that the service manager has started is killed, the agent goes on, and the next
// one takes over from it.
func TestAgentGoesOnWithoutTheProcessOfTheService(t *testing.T) {
	t.Parallel()
	manager, unit, s := newServiceOfUnit(t)
	replicas, former := s.runs(bluegreen.Green), agenttest.PID(t, s.dir)
	stream := s.startRequest()
	unit.end(syscall.SIGKILL)
	s.expectVersion("1.0.0")
	manager.start(s.dir, nil, serviceFlags...)
	if present := agenttest.PID(t, s.dir); present == former {
		t.Errorf("process %d still serves", former)
	}
	s.expectVersion("1.0.0")
	s.must(stream.finish())
	s.mustRunOn(replicas)
}

// A service manager ends a process that hangs with SIGABRT. That ends the agent too.
func TestAgentThatHangsEndsWithTheService(t *testing.T) {
	t.Parallel()
	manager, unit, s := newServiceOfUnit(t)
	replicas, hung, endpoint := s.runs(bluegreen.Green), agenttest.PID(t, s.dir), s.endpoint()
	s.must(syscall.Kill(hung, syscall.SIGSTOP))
	agenttest.Eventually(t, func() error {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", hung))
		if err != nil || !strings.Contains(string(status), "State:\tT") {
			return fmt.Errorf("the agent is not stopped: %s, %w", status, err)
		}
		return nil
	})
	client := request(t, endpoint)
	unit.mayFail = true
	unit.end(syscall.SIGABRT)
	if err := syscall.Kill(hung, 0); err == nil {
		t.Errorf("the agent, process %d, is still there", hung)
	}
	manager.start(s.dir, nil, serviceFlags...)
	// What the former agent had not accepted yet is answered.
	if got, err := client.answer(); err != nil || got != "1.0.0" {
		t.Errorf("a client is answered %q, %v", got, err)
	}
	s.mustRunOn(replicas)
}
