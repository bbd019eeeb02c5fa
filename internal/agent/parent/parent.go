// SPDX-License-Identifier: MPL-2.0

package parent

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// An agent that dies is started again after firstRestart, and after twice that each time
	// it dies again, up to lastRestart. One that has run for stableRun begins anew.
	firstRestart = 500 * time.Millisecond
	lastRestart  = 30 * time.Second
	stableRun    = 10 * time.Second
)

// variable is the environment variable that tells an agent the process ID of its parent.
const variable = "BLUEGREEN_AGENT_PARENT"

// The exit statuses of an agent that has failed, as its log says.
const (
	// FailedToBegin is that of one that could not begin to serve.
	FailedToBegin = 1
	// FailedToServe is that of one that has served.
	FailedToServe = 3
)

// PID returns the process ID of the parent of this agent, 0 if it has none, or none any more.
func PID() int {
	pid, err := strconv.Atoi(os.Getenv(variable))
	if err != nil || pid != os.Getppid() {
		return 0
	}
	return pid
}

// parent starts one agent, again and again.
type parent struct {
	// first are the arguments of the first start, and again those of all others.
	first, again []string
	logPath      string
	signals      chan os.Signal
	// isAsked is true once this process has been asked to end.
	isAsked bool
	// pause is time.After, but for tests.
	pause func(time.Duration) <-chan time.Time
}

// Run runs an agent with the arguments of first, and starts it with those of again when it dies.
// It returns the exit status of an agent that has ended well, or because this process was asked
// to end: signals that ask for that go to the agent. It also returns if the agent cannot even
// begin, which FailedToBegin tells, or has nowhere to begin again. What the agent prints, and why
// it is started again, is appended to the file at logPath.
func Run(first, again []string, logPath string) int {
	p := &parent{
		first: first, again: again, logPath: logPath, signals: make(chan os.Signal, 1), pause: time.After,
	}
	signal.Notify(p.signals, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(p.signals)
	shrink()
	return p.run()
}

// shrink gives back what the start of the program took.
func shrink() {
	debug.SetGCPercent(gcPercent)
	debug.FreeOSMemory()
}

// gcPercent keeps the heap of a process small that allocates next to nothing.
const gcPercent = 10

// run starts the agent until it has ended well.
func (p *parent) run() int {
	delays := backoff.NewExponentialBackOff()
	delays.InitialInterval, delays.Multiplier, delays.MaxInterval = firstRestart, 2, lastRestart
	delays.RandomizationFactor = 0
	arguments, hasBegun := p.first, false
	for {
		begin := time.Now()
		status, reason := p.runAgent(arguments)
		if status == 0 || p.isAsked || !hasBegun && status == FailedToBegin || !p.hasDirectory() {
			return status
		}
		arguments, hasBegun = p.again, true
		if time.Since(begin) >= stableRun {
			delays.Reset()
		}
		delay := delays.NextBackOff()
		p.log("the agent ended: " + reason + "; it is started again in " + delay.String())
		select {
		case <-p.signals:
			return 0
		case <-p.pause(delay):
		}
	}
}

// hasDirectory reports whether the directory of the agent is there. An agent would make it
// again, empty.
func (p *parent) hasDirectory() bool {
	_, err := os.Stat(filepath.Dir(p.logPath))
	return !errors.Is(err, fs.ErrNotExist)
}

// runAgent runs the agent once, and returns its exit status and how it ended.
func (p *parent) runAgent(arguments []string) (status int, reason string) {
	agent := command(arguments)
	agent.Env = append(os.Environ(), fmt.Sprintf("%s=%d", variable, os.Getpid()))
	if err := p.start(agent); err != nil {
		return noStatus, err.Error()
	}
	p.await(agent)
	return agent.ProcessState.ExitCode(), agent.ProcessState.String()
}

// start starts the agent, with the log for what it prints. Without a log it runs all the same.
func (p *parent) start(agent *exec.Cmd) error {
	if output, err := p.openLog(); err == nil {
		defer output.Close()
		agent.Stdout, agent.Stderr = output, output
	}
	return agent.Start()
}

// noStatus stands for the exit status of an agent that a signal has ended, or that could not be
// started.
const noStatus = -1

// await returns when the agent has ended. It passes signals on.
func (p *parent) await(agent *exec.Cmd) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		// ProcessState tells how it ended.
		_ = agent.Wait()
	}()
	for {
		select {
		case <-ended:
			return
		case received := <-p.signals:
			p.isAsked = true
			// An error says that it has ended.
			_ = agent.Process.Signal(received)
		}
	}
}

// openLog opens the log for one run of the agent: by the next one it may have been rotated.
func (p *parent) openLog() (*os.File, error) {
	return os.OpenFile(p.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// log writes a line as the agent does.
func (p *parent) log(message string) {
	if file, err := p.openLog(); err == nil {
		defer file.Close()
		slog.New(slog.NewTextHandler(file, nil)).Error(message)
	}
}
