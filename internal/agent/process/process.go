// SPDX-License-Identifier: MPL-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// outputGrace is how long the output of a process that has ended is read on, in
// case something it left behind holds the pipe.
const outputGrace = time.Second

// adoptGrace is how long an agent that starts waits for the end of what a replica has left
// behind, before it starts that replica again.
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
	// unnoted says why its state could not be stored.
	unnoted error
	// pumped is closed when everything in output has been read.
	pumped chan struct{}
	output io.Closer
	// port looks who listens on the port. The supervisor sets it.
	port *portWatch
	// socket listens on the port and is passed to the process. It stays open here while the process
	// runs, so that nobody else gets the port before the traffic has left it. It is nil without
	// socket activation, and for an adopted process.
	socket *os.File
	duty   *duty
}

// start runs the program, whose output it sets. It stores its intent in dir before, and the pid
// after the start, if it can. It starts nothing in place of a run that a newer version has noted.
func start(dir string, what program, state State, log io.Writer, duty *duty) (_ *Process, err error) {
	if err := checkNotNewer(dir); err != nil {
		return nil, err
	}
	if state.Group, err = makeControlGroup(state.Incarnation, what.limits); err != nil {
		return nil, fmt.Errorf("limiting the replica: %w", err)
	}
	what.group = state.Group
	defer func() {
		if err != nil {
			_ = state.Group.remove()
		}
	}()
	// The program runs whether it can be noted or not.
	_ = state.write(dir)
	reader, writer, err := openOutput(filepath.Join(dir, outputPipe))
	if err != nil {
		return nil, fmt.Errorf("opening the output of %s: %w", what.argv[0], err)
	}
	what.output = writer
	if user := what.limits.User; user != nil {
		// It may open its output again, as /dev/stdout.
		if err := os.Chown(filepath.Join(dir, outputPipe), user.UID, -1); err != nil {
			err = fmt.Errorf("giving the replica its output: %w", err)
			return nil, errors.Join(err, reader.Close(), writer.Close())
		}
	}
	command, err := what.start(context.Background())
	writer.Close()
	if err != nil {
		reader.Close()
		return nil, fmt.Errorf("starting the process: %w", err)
	}
	state.PID = command.Process.Pid
	// A process that has ended already has no identity, and needs none.
	state.Identity, _ = identify(state.PID)
	p := newProcess(state, command, reader, log, duty)
	p.unnoted = state.write(dir)
	return p, nil
}

// adopt takes over the process with this state; see Manager.Adopt.
func adopt(dir string, state State, log io.Writer, duty *duty) (*Process, error) {
	if state.PID == 0 {
		state.PID, state.Identity = findProcess(incarnationVariable + "=" + state.Incarnation)
	}
	if state.PID == 0 || !state.isAlive() {
		return nil, nil
	}
	if len(state.Group) == 0 {
		state.Group = controlGroupOf(state)
	}
	reader, writer, err := openOutput(filepath.Join(dir, outputPipe))
	if err != nil {
		_ = (&tree{run: state}).end(strayGrace)
		return nil, fmt.Errorf("opening the output of process %d: %w", state.PID, err)
	}
	writer.Close()
	return newProcess(state, nil, reader, log, duty), nil
}

func newProcess(state State, command *exec.Cmd, output *os.File, log io.Writer, duty *duty) *Process {
	p := &Process{
		State: state, command: command, output: output, tree: &tree{run: state}, duty: duty,
		exited: make(chan struct{}), pumped: make(chan struct{}),
	}
	duty.readers.Go(func() {
		defer close(p.pumped)
		duty.read(output, func() { pump(output, log) })
	})
	go p.awaitExit()
	return p
}

// awaitExit waits for the end of the process, kills what it left behind, and reads the rest of
// its output. If this program has let go of the process, it is only reaped.
func (p *Process) awaitExit() {
	exit := p.wait()
	if p.duty.isOver() {
		return
	}
	defer close(p.exited)
	p.exit = exit
	if p.Group.hasKilled() {
		p.exit += "; it had used up its memory"
	}
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

// Terminate ends the process and everything in its group with signal, and kills what is left
// after grace. What it has started in other groups is killed once the process has ended, so
// that the process can end it in its own way. Terminate returns when all have ended, or when
// this program lets go of the process.
func (p *Process) Terminate(signal syscall.Signal, grace time.Duration) {
	if p.isRunning() && grace > 0 && !p.duty.isOver() {
		p.tree.note()
		signalGroup(p.PID, signal)
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-p.exited:
		case <-timer.C:
		case <-p.duty.over.Done():
		}
	}
	if p.isRunning() && !p.duty.isOver() {
		p.tree.note()
		signalGroup(p.PID, killSignal)
		select {
		case <-p.exited:
		case <-p.duty.over.Done():
		}
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
