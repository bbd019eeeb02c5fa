// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
)

// processFile says which process a replica is.
const processFile = "process.json"

// outputFile is what a replica has written.
const outputFile = "output.log"

// incarnationVariable names the run of a replica in its environment. By it a
// process is found whose agent was killed before it could note the pid.
const incarnationVariable = "BLUEGREEN_INCARNATION"

// outputGrace is how long the output of a process that has ended is read on, in
// case something it left behind holds the pipe.
const outputGrace = time.Second

// processState identifies one run of a replica across agents.
type processState struct {
	// Revision is that of the workload that it runs.
	Revision    string `json:"revision"`
	Incarnation string `json:"incarnation"`
	Port        int    `json:"port"`
	// PID is 0 from before the process is started until it is known.
	PID int `json:"pid,omitempty"`
	// Identity tells the process from a later one with the same pid.
	Identity string `json:"identity,omitempty"`
}

// readProcess returns what is noted in dir, or nil.
func readProcess(dir string) (*processState, error) {
	path := filepath.Join(dir, processFile)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &durable.UnreadableError{Path: path, Err: err}
	}
	var state processState
	if err := json.Unmarshal(content, &state); err != nil {
		return nil, &durable.UnreadableError{Path: path, Err: fmt.Errorf("it is torn, or no process: %w", err)}
	}
	return &state, nil
}

func (s processState) write(dir string) error {
	content, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encoding the process: %w", err)
	}
	return durable.WriteFile(filepath.Join(dir, processFile), content)
}

// process is a process that was started here, or adopted from an agent before.
type process struct {
	processState
	// command is nil for an adopted process, which has another parent.
	command *exec.Cmd
	// exited is closed when the process has ended and its output is written.
	// exit may be read from then on.
	exited chan struct{}
	exit   string
	// pumped is closed when everything in output has been read.
	pumped chan struct{}
	output io.Closer
}

// startProcess runs argv in the directory work. Its intent, and then its pid, are
// noted in dir.
func startProcess(dir, work string, argv, environ []string, state processState, log io.Writer) (*process, error) {
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
	command.SysProcAttr = ownSession()
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
		p.terminate(0)
		return nil, err
	}
	return p, nil
}

// adoptProcess takes over the process noted in dir if it is still there, nil if
// not. One that cannot be adopted is killed, so that it does not run unwatched.
func adoptProcess(dir string, state processState, log io.Writer) (*process, error) {
	if state.PID == 0 {
		state.PID, state.Identity = findProcess(incarnationVariable + "=" + state.Incarnation)
	}
	if state.PID == 0 || !alive(state) {
		return nil, nil
	}
	reader, writer, err := openOutput(filepath.Join(dir, "output"))
	if err != nil {
		signalGroup(state.PID, killSignal)
		return nil, fmt.Errorf("opening the output of process %d: %w", state.PID, err)
	}
	writer.Close()
	return newProcess(state, nil, reader, log), nil
}

func alive(state processState) bool {
	identity, err := identify(state.PID)
	return err == nil && identity == state.Identity
}

func newProcess(state processState, command *exec.Cmd, output *os.File, log io.Writer) *process {
	p := &process{processState: state, command: command, exited: make(chan struct{}), pumped: make(chan struct{}), output: output}
	go func() {
		defer close(p.pumped)
		pump(output, log)
	}()
	go p.watch()
	return p
}

// watch waits for the end of the process, ends what it left behind in its
// process group, and reads the rest of its output.
func (p *process) watch() {
	defer close(p.exited)
	p.exit = p.wait()
	select {
	case <-p.pumped:
	case <-time.After(outputGrace):
		p.output.Close()
		<-p.pumped
	}
}

// wait returns how the process ended.
func (p *process) wait() string {
	defer signalGroup(p.PID, killSignal)
	if p.command == nil {
		if err := awaitExit(p.processState); err != nil {
			pollExit(p.processState)
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

// exitPoll is how often a process is looked at where nothing tells of its end.
const exitPoll = time.Second

func pollExit(state processState) {
	ticker := time.NewTicker(exitPoll)
	defer ticker.Stop()
	for alive(state) {
		<-ticker.C
	}
}

// terminate ends the process and everything in its group: it asks, and kills
// what is left after grace. It returns when the process has ended.
func (p *process) terminate(grace time.Duration) {
	if p.running() && grace > 0 {
		signalGroup(p.PID, termSignal)
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-p.exited:
		case <-timer.C:
		}
	}
	if p.running() {
		signalGroup(p.PID, killSignal)
		<-p.exited
	}
}

func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}
