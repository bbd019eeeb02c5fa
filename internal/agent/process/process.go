// SPDX-License-Identifier: MPL-2.0

package process

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// outputGrace is how long the output of a process that has ended is read on, in
// case something it left behind holds the pipe.
const outputGrace = time.Second

// adoptGrace is how long an agent that starts waits for the end of what a replica has left
// behind. Its deployments are not served before that.
const adoptGrace = time.Second

// Process is one run of a replica, started here or adopted.
type Process struct {
	State
	// command is nil for an adopted process, which has another parent.
	command *exec.Cmd
	// exited is closed when the process has ended and its output is written.
	// exit may be read from then on.
	exited chan struct{}
	exit   string
	// tree is what the process has started. strays says what of it could not be ended, and may
	// be read once exited is closed.
	tree   *tree
	strays error
	// pumped is closed when everything in output has been read.
	pumped chan struct{}
	output io.Closer
}

// start runs argv in the directory work. It stores its intent in dir before, and
// the pid after the start.
func start(dir, work string, argv, environ []string, state State, log io.Writer) (*Process, error) {
	if err := state.write(dir); err != nil {
		return nil, err
	}
	reader, writer, err := openOutput(filepath.Join(dir, "output"))
	if err != nil {
		return nil, fmt.Errorf("opening the output of %s: %w", argv[0], err)
	}
	command := exec.Command(argv[0], argv[1:]...)
	command.Dir, command.Env = work, environ
	command.Stdout, command.Stderr = writer, writer
	command.SysProcAttr = NewSession()
	err = command.Start()
	writer.Close()
	if err != nil {
		reader.Close()
		return nil, fmt.Errorf("starting the process: %w", err)
	}
	state.PID = command.Process.Pid
	// A process that has ended already has no identity, and needs none.
	state.Identity, _ = identify(state.PID)
	p := newProcess(state, command, reader, log)
	if err := state.write(dir); err != nil {
		p.Terminate(0)
		return nil, err
	}
	return p, nil
}

// adopt takes over the process with this state; see Manager.Adopt.
func adopt(dir string, state State, log io.Writer) (*Process, error) {
	if state.PID == 0 {
		state.PID, state.Identity = findProcess(incarnationVariable + "=" + state.Incarnation)
	}
	if state.PID == 0 || !state.isAlive() {
		return nil, endStrays(state)
	}
	reader, writer, err := openOutput(filepath.Join(dir, "output"))
	if err != nil {
		_ = (&tree{run: state}).end(strayGrace)
		return nil, fmt.Errorf("opening the output of process %d: %w", state.PID, err)
	}
	writer.Close()
	return newProcess(state, nil, reader, log), nil
}

// endStrays ends what a process that ended while no agent ran has left behind.
func endStrays(state State) error {
	if !state.isOfThisBoot() {
		return nil
	}
	// Its pid, which is that of its session too, may be another one's by now.
	state.PID = 0
	return (&tree{run: state}).end(adoptGrace)
}

func newProcess(state State, command *exec.Cmd, output *os.File, log io.Writer) *Process {
	p := &Process{
		State: state, command: command, output: output, tree: &tree{run: state},
		exited: make(chan struct{}), pumped: make(chan struct{}),
	}
	go func() {
		defer close(p.pumped)
		pump(output, log)
	}()
	go p.awaitExit()
	return p
}

// awaitExit waits for the end of the process, kills what it left behind, and reads the rest of
// its output.
func (p *Process) awaitExit() {
	defer close(p.exited)
	p.exit = p.wait()
	signalGroup(p.PID, killSignal)
	p.strays = p.tree.end(strayGrace)
	select {
	case <-p.pumped:
	case <-time.After(outputGrace):
		p.output.Close()
		<-p.pumped
	}
}

// wait returns how the process ended.
func (p *Process) wait() string {
	if p.command == nil {
		if err := awaitNonChild(p.State); err != nil {
			pollExit(p.State)
		}
		return "it has exited; how is not known, because an earlier agent had started it"
	}
	awaitChild(p.PID)
	err := p.command.Wait()
	if err != nil {
		return err.Error()
	}
	return "exit status 0"
}

// exitPoll is how often a process is checked if the system does not report its end.
const exitPoll = time.Second

func pollExit(state State) {
	ticker := time.NewTicker(exitPoll)
	defer ticker.Stop()
	for state.isAlive() {
		<-ticker.C
	}
}

// Terminate ends the process and everything in its group with SIGTERM, and kills what is left
// after grace. What it has started in other groups is killed once the process has ended, so
// that the process can end it in its own way. Terminate returns when all have ended.
func (p *Process) Terminate(grace time.Duration) {
	if p.isRunning() && grace > 0 {
		p.tree.note()
		signalGroup(p.PID, termSignal)
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-p.exited:
		case <-timer.C:
		}
	}
	if p.isRunning() {
		p.tree.note()
		signalGroup(p.PID, killSignal)
		<-p.exited
	}
}

func (p *Process) isRunning() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}
