// SPDX-License-Identifier: MPL-2.0

package parent

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/systemd"
)

// RunService runs an agent with these arguments for the service manager that has started this
// process. It returns the exit status: 0 as soon as the agent has left, which then finishes
// what is in flight, so that the service manager can start the next one.
//
// Signals that ask this process to end go to the agent. SIGABRT is what a service manager sends
// to a process that hangs, and ends the agent at once.
func RunService(arguments []string) int {
	relay, err := systemd.NewRelay()
	if err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		return FailedToBegin
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt, syscall.SIGABRT)
	defer signal.Stop(signals)
	agent := command(arguments)
	agent.Stdout, agent.Stderr = os.Stdout, os.Stderr
	if err := relay.Start(agent); err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		return FailedToBegin
	}
	shrink()
	left, ended := make(chan bool, 1), make(chan struct{})
	go func() { left <- relay.Run(slog.New(slog.NewTextHandler(os.Stderr, nil))) }()
	go func() {
		defer close(ended)
		// ProcessState tells how it ended.
		_ = agent.Wait()
	}()
	for {
		select {
		case received := <-signals:
			if received == syscall.SIGABRT {
				received = syscall.SIGKILL
			}
			// An error says that it has ended.
			_ = agent.Process.Signal(received)
		case hasLeft := <-left:
			if hasLeft {
				return 0
			}
			// It has ended.
			left = nil
		case <-ended:
			return serviceStatus(agent)
		}
	}
}

// serviceStatus returns the exit status of an agent that has ended. It is not 0 if a signal has
// ended the agent.
func serviceStatus(agent *exec.Cmd) int {
	if status := agent.ProcessState.ExitCode(); status != noStatus {
		return status
	}
	fmt.Fprintln(os.Stderr, "agent:", agent.ProcessState)
	return FailedToBegin
}
