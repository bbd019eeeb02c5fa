// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// agentLeaves is how long the agent may take to leave once nothing is deployed.
const agentLeaves = 5 * time.Second

// localPlatform runs the service as processes of this machine.
type localPlatform struct {
	stateDir string
}

var _ platform = (*localPlatform)(nil)

func (p *localPlatform) require(context.Context) error {
	if !supported {
		return fmt.Errorf("missing: the demo deploys processes, which needs Linux, macOS or FreeBSD; this is %s", runtime.GOOS)
	}
	return nil
}

func (p *localPlatform) prepare(_ context.Context, program string) (string, error) {
	return program, nil
}

func (p *localPlatform) environment() []string { return []string{"BLUEGREEN_AGENT_IDLE=1s"} }

func (p *localPlatform) reach(_ context.Context, endpoint string) (string, error) {
	return endpoint, nil
}

func (p *localPlatform) linger() time.Duration { return time.Second }

// clean waits for the agent to leave, and stops it if it does not.
func (p *localPlatform) clean(ctx context.Context) error {
	if p.agentGone(ctx) {
		return nil
	}
	pid, err := p.agent(ctx)
	if err != nil {
		return fmt.Errorf("the agent of %s still runs: %w", p.stateDir, err)
	}
	if err := terminate(pid); err != nil {
		return fmt.Errorf("stop the agent, process %d: %w", pid, err)
	}
	if !p.agentGone(ctx) {
		return fmt.Errorf("the agent, process %d, does not stop", pid)
	}
	return nil
}

// agent finds the agent of this demo, whose command line names its directory.
func (p *localPlatform) agent(ctx context.Context) (pid int, err error) {
	processes, err := exec.CommandContext(ctx, "ps", "-axo", "pid=,command=").Output()
	if err != nil {
		return 0, fmt.Errorf("ps: %w", err)
	}
	for line := range strings.Lines(string(processes)) {
		if id, command, _ := strings.Cut(strings.TrimSpace(line), " "); strings.Contains(command, "-state-dir "+p.stateDir) {
			return strconv.Atoi(id)
		}
	}
	return 0, errors.New("no process has that directory on its command line")
}

// agentGone reports whether the agent's socket stops answering in good time.
func (p *localPlatform) agentGone(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, agentLeaves)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		connection, err := (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(p.stateDir, "agent.sock"))
		if err != nil {
			return ctx.Err() == nil
		}
		connection.Close()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
}
