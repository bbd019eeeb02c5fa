// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// interruptGrace is how long Terraform may take to finish after Ctrl-C.
const interruptGrace = 30 * time.Second

// terraform runs Terraform or OpenTofu in one directory.
type terraform struct {
	program string
	dir     string
	env     []string
}

// variables are the input variables of main.tf.
type variables struct {
	Name     string `json:"name"`
	StateDir string `json:"state_dir"`
	Image    string `json:"image"`
	Release  string `json:"release"`
	Broken   bool   `json:"broken"`
	Rollback bool   `json:"rollback"`
}

// outputs are the output values of main.tf.
type outputs struct {
	Endpoint     string
	LiveVersion  string
	Environments map[string]environment
	History      []record
}

type environment struct {
	State   string `json:"state"`
	Version string `json:"version"`
}

// record is one entry of the deployment's history.
type record struct {
	ID          string `json:"id"`
	Environment string `json:"environment"`
	Version     string `json:"version"`
	Status      string `json:"status"`
	SwitchedAt  string `json:"switched_at"`
	Reason      string `json:"reason"`
}

// diagnosticError holds the errors that Terraform reported.
type diagnosticError struct {
	command     string
	diagnostics []diagnostic
}

type diagnostic struct {
	Severity string `json:"severity"`
	Summary  string `json:"summary"`
	Detail   string `json:"detail"`
}

func (e *diagnosticError) Error() string {
	var output strings.Builder
	fmt.Fprintf(&output, "%s failed", e.command)
	for _, d := range e.diagnostics {
		fmt.Fprintf(&output, "\n%s", d.Summary)
		if d.Detail != "" {
			fmt.Fprintf(&output, ": %s", d.Detail)
		}
	}
	return output.String()
}

// Summary returns the first error in one line.
func (e *diagnosticError) Summary() string {
	if len(e.diagnostics) == 0 {
		return e.command + " failed"
	}
	return e.diagnostics[0].Summary
}

func (t terraform) init(ctx context.Context) error {
	command, output := t.command(ctx, "init", "-input=false", "-no-color")
	if err := command.Run(); err != nil {
		return fmt.Errorf("init: %w\n%s", err, strings.TrimSpace(output.String()))
	}
	return nil
}

// apply runs terraform apply with the variables. It returns how many resources changed.
func (t terraform) apply(ctx context.Context, v variables) (changed int, err error) {
	encoded, err := json.Marshal(v)
	if err != nil {
		return 0, err
	}
	if err := os.WriteFile(filepath.Join(t.dir, "terraform.tfvars.json"), encoded, 0o600); err != nil {
		return 0, err
	}
	return t.change(ctx, "apply")
}

func (t terraform) destroy(ctx context.Context) error {
	_, err := t.change(ctx, "destroy")
	return err
}

func (t terraform) change(ctx context.Context, name string) (changed int, err error) {
	command, output := t.command(ctx, name, "-auto-approve", "-input=false", "-json")
	err = command.Run()
	changed, diagnostics := parse(output.Bytes())
	switch {
	case err == nil:
		return changed, nil
	case ctx.Err() != nil:
		return 0, fmt.Errorf("%s: %w", name, ctx.Err())
	case len(diagnostics) == 0:
		diagnostics = []diagnostic{{Summary: err.Error(), Detail: strings.TrimSpace(output.String())}}
	}
	return 0, &diagnosticError{command: name, diagnostics: diagnostics}
}

func (t terraform) outputs(ctx context.Context) (outputs, error) {
	command, output := t.command(ctx, "output", "-json", "-no-color")
	if err := command.Run(); err != nil {
		return outputs{}, fmt.Errorf("output: %w\n%s", err, strings.TrimSpace(output.String()))
	}
	var values map[string]struct{ Value json.RawMessage }
	if err := json.Unmarshal(output.Bytes(), &values); err != nil {
		return outputs{}, fmt.Errorf("output: %w", err)
	}
	var out outputs
	for name, target := range map[string]any{
		"endpoint":     &out.Endpoint,
		"live_version": &out.LiveVersion,
		"environments": &out.Environments,
		"history":      &out.History,
	} {
		if err := json.Unmarshal(values[name].Value, target); err != nil {
			return outputs{}, fmt.Errorf("output %s: %w", name, err)
		}
	}
	return out, nil
}

// command prepares one Terraform command. When ctx ends, the command gets an interrupt as
// from Ctrl-C, and may finish what it is doing within interruptGrace.
func (t terraform) command(ctx context.Context, args ...string) (*exec.Cmd, *bytes.Buffer) {
	var output bytes.Buffer
	command := exec.CommandContext(ctx, t.program, args...)
	command.Dir, command.Env = t.dir, t.env
	command.Stdout, command.Stderr = &output, &output
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = interruptGrace
	setProcessGroup(command)
	return command, &output
}

// parse reads the output of Terraform with -json, which has one message in each line. It
// returns how many resources changed, and the errors.
func parse(output []byte) (changed int, errors []diagnostic) {
	for line := range bytes.Lines(output) {
		var message struct {
			Type       string
			Changes    struct{ Add, Change, Remove int }
			Diagnostic diagnostic
		}
		if json.Unmarshal(line, &message) != nil {
			continue
		}
		switch {
		case message.Type == "change_summary":
			// The plan prints a summary too. The last one is that of the apply.
			changed = message.Changes.Add + message.Changes.Change + message.Changes.Remove
		case message.Type == "diagnostic" && message.Diagnostic.Severity == "error":
			errors = append(errors, message.Diagnostic)
		}
	}
	return changed, errors
}
