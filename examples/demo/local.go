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

// agentEndTimeout is how long the agent may take to end once nothing is deployed.
const agentEndTimeout = 5 * time.Second

// localPlatform runs the service as processes of this machine.
type localPlatform struct {
	stateDir string
}

var _ platform = (*localPlatform)(nil)

func (p *localPlatform) checkPrerequisites(context.Context) error {
	if !supported {
		return fmt.Errorf("missing: Linux, macOS or FreeBSD, which deploying processes needs; this is %s", runtime.GOOS)
	}
	return nil
}

func (p *localPlatform) buildImage(_ context.Context, program string) (string, error) {
	return program, nil
}

func (p *localPlatform) environment() []string { return []string{"BLUEGREEN_AGENT_IDLE=1s"} }

func (p *localPlatform) clientURL(_ context.Context, endpoint string) (string, error) {
	return endpoint, nil
}

func (p *localPlatform) observationTime() time.Duration { return time.Second }

// clean waits until the agent has ended, and stops it if it does not end by itself.
func (p *localPlatform) clean(ctx context.Context) error {
	if p.awaitAgentEnd(ctx) {
		return nil
	}
	pid, err := p.agent(ctx)
	if err != nil {
		return fmt.Errorf("the agent of %s still runs: %w", p.stateDir, err)
	}
	if err := terminate(pid); err != nil {
		return fmt.Errorf("stop the agent, process %d: %w", pid, err)
	}
	if !p.awaitAgentEnd(ctx) {
		return fmt.Errorf("the agent, process %d, does not stop", pid)
	}
	return nil
}

// agent returns the process of the demo's agent. Its command line has the state directory.
func (p *localPlatform) agent(ctx context.Context) (pid int, err error) {
	processes, err := exec.CommandContext(ctx, "ps", "-axo", "pid=,command=").Output()
	if err != nil {
		return 0, fmt.Errorf("ps: %w", err)
	}
	for line := range strings.Lines(string(processes)) {
		id, command, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.Contains(command, "-state-dir "+p.stateDir) {
			return strconv.Atoi(id)
		}
	}
	return 0, errors.New("no process has that directory on its command line")
}

// awaitAgentEnd reports whether the agent's socket stops answering within
// agentEndTimeout.
func (p *localPlatform) awaitAgentEnd(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, agentEndTimeout)
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
