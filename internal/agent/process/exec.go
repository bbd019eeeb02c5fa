// SPDX-License-Identifier: MPL-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"
)

// execOutput is how much of a command's output is kept, from its end.
const execOutput = 8 << 10

// execGrace is how long the output of a command is read on after its end.
const execGrace = time.Second

// Exec runs the program of spec beside a run of a replica, with its variables and within its limits,
// and returns nil if it exits with 0. Otherwise the error says how it ended, and its last line; it
// calls the program name. What the program has started is killed when ctx ends.
func Exec(ctx context.Context, name string, spec Spec, run Status) error {
	limits, err := spec.Settings.limits()
	if err != nil {
		return err
	}
	var output tail
	what := program{
		argv: spec.Argv, environ: spec.environ(run.Port, run.Incarnation, limits.User), dir: spec.Dir, output: &output,
		limits: limits, group: run.group,
	}
	command, err := what.start(ctx)
	if err == nil {
		err = command.Wait()
	}
	// A command that has left something behind, which has its output, has ended well all the same.
	if err == nil || errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	var exit *exec.ExitError
	last, _ := lastLines(output.text, 1)
	if len(last) > 0 && (errors.As(err, &exit) || ctx.Err() != nil) {
		return fmt.Errorf("%s: %w: %s", name, err, last[0])
	}
	return fmt.Errorf("%s: %w", name, err)
}

// tail keeps the end of what is written to it.
type tail struct{ text []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-execOutput):]
	return len(p), nil
}
