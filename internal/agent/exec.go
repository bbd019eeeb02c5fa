// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
)

// execOutput is how much of a command's output is kept, from its end.
const execOutput = 8 << 10

// execGrace is how long the output of a command is read on after its end.
const execGrace = time.Second

// runBeside runs command as a replica of w would see it, and returns nil if it
// exits with 0. Otherwise the error says how it ended, and its last line.
func runBeside(ctx context.Context, w *store.Workload, environ, command []string) error {
	executable, err := lookUp(w.Dir, command[0])
	if err != nil {
		return err
	}
	var output tail
	cmd := exec.CommandContext(ctx, executable, command[1:]...)
	cmd.Dir, cmd.Env = w.Dir, environ
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = ownSession()
	cmd.Cancel = func() error {
		signalGroup(cmd.Process.Pid, killSignal)
		return nil
	}
	cmd.WaitDelay = execGrace
	err = cmd.Run()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	var exit *exec.ExitError
	if last := lines(output.text, 1); len(last) > 0 && (errors.As(err, &exit) || ctx.Err() != nil) {
		return fmt.Errorf("%s: %w: %s", command[0], err, last[0])
	}
	return fmt.Errorf("%s: %w", command[0], err)
}

// tail keeps the end of what is written to it.
type tail struct{ text []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-execOutput):]
	return len(p), nil
}
