// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// The black-box tests run the real provider, built and installed in a filesystem
// mirror, under a real Terraform.

// mirroredVersion is what the provider is called in the mirror.
const mirroredVersion = "9.9.9"

// mirrored installs the provider in a mirror below the scratch directory, and
// returns the CLI configuration that names it.
var mirrored = sync.OnceValues(func() (string, error) {
	program, err := providerProgram()
	if err != nil {
		return "", err
	}
	mirror := filepath.Join(scratch, "mirror")
	for _, registry := range []string{"registry.terraform.io", "registry.opentofu.org"} {
		dir := filepath.Join(
			mirror,
			registry,
			"bluegreen",
			"bluegreen",
			mirroredVersion,
			runtime.GOOS+"_"+runtime.GOARCH,
		)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", err
		}
		if err := os.Link(program, filepath.Join(dir, "terraform-provider-bluegreen_v"+mirroredVersion)); err != nil {
			return "", err
		}
	}
	config := filepath.Join(scratch, "mirror.rc")
	return config, os.WriteFile(
		config,
		fmt.Appendf(nil, "provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", mirror),
		0o600,
	)
})

// cli is Terraform in a directory of its own.
type cli struct {
	h   *harness
	dir string
	env []string
}

// terraform returns a Terraform with the provider installed. When the test ends
// it destroys what is left.
func (h *harness) terraform() *cli {
	h.t.Helper()
	config, err := mirrored()
	if err != nil {
		h.t.Fatal(err)
	}
	c := &cli{h: h, dir: h.t.TempDir(), env: append(os.Environ(), "TF_CLI_CONFIG_FILE="+config, "TF_LOG_PROVIDER=INFO")}
	c.write(h.providerConfig())
	c.must("init")
	h.t.Cleanup(func() {
		if output, err := c.start(context.Background(), "destroy", "-auto-approve").wait(); err != nil {
			h.t.Errorf("destroy: %v\n%s", err, errorIn(output))
		}
	})
	return c
}

// required is how a configuration names the provider.
const required = `terraform {
  required_providers {
    bluegreen = {
      source = "bluegreen/bluegreen"
    }
  }
}
`

// write makes config the configuration.
func (c *cli) write(config string) {
	c.h.t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, "main.tf"), []byte(required+config), 0o600); err != nil {
		c.h.t.Fatal(err)
	}
}

// must runs a command that succeeds, and returns its output.
func (c *cli) must(args ...string) string {
	c.h.t.Helper()
	output, err := c.start(c.h.t.Context(), args...).wait()
	if err != nil {
		c.h.t.Fatalf("terraform %s: %v\n%s", args[0], err, errorIn(output))
	}
	return output
}

// errorIn returns what follows the plan and the log in the output of a command that failed.
func errorIn(output string) string {
	if _, text, found := strings.Cut(output, " Error: "); found {
		return text
	}
	return output
}

// mustFail runs a command that fails, and returns its output.
func (c *cli) mustFail(args ...string) string {
	c.h.t.Helper()
	output, err := c.start(c.h.t.Context(), args...).wait()
	if err == nil {
		c.h.t.Fatalf("terraform %s succeeded:\n%s", args[0], output)
	}
	return output
}

// apply writes config and applies it.
func (c *cli) apply(config string) string {
	c.h.t.Helper()
	c.write(config)
	return c.must("apply", "-auto-approve")
}

// process is a command that runs.
type process struct {
	*exec.Cmd
	stdout bytes.Buffer
	// lines are those of stderr, where the progress is.
	lines  chan string
	stderr strings.Builder
}

func (c *cli) start(ctx context.Context, args ...string) *process {
	c.h.t.Helper()
	arguments := append([]string{args[0], "-no-color"}, args[1:]...)
	p := &process{
		Cmd:   exec.CommandContext(ctx, os.Getenv("TF_ACC_TERRAFORM_PATH"), arguments...),
		lines: make(chan string, 1),
	}
	p.Dir, p.Env, p.Stdout = c.dir, c.env, &p.stdout
	stderr, err := p.StderrPipe()
	if err == nil {
		err = p.Start()
	}
	if err != nil {
		c.h.t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		scanner := bufio.NewScanner(stderr)
		for scanner.Scan() {
			p.lines <- scanner.Text()
		}
	}()
	return p
}

// awaitPhase returns once the provider says that it is in this phase.
func (p *process) awaitPhase(phase string) error {
	for line := range p.lines {
		p.stderr.WriteString(line + "\n")
		if strings.Contains(line, phase) {
			return nil
		}
	}
	return errors.Join(fmt.Errorf("it never came to %q", phase), p.Wait())
}

// wait returns what the command said, on either stream, without the frame and the
// line breaks that Terraform puts around errors.
func (p *process) wait() (string, error) {
	for line := range p.lines {
		p.stderr.WriteString(line + "\n")
	}
	err := p.Wait()
	return frame.ReplaceAllString(p.stdout.String()+p.stderr.String(), " "), err
}

var frame = regexp.MustCompile(`[\s│]+`)

// mustContain fails the test unless output has every one of these.
func mustContain(t *testing.T, output string, all ...string) {
	t.Helper()
	for _, part := range all {
		if !strings.Contains(output, part) {
			t.Errorf("it does not say %q:\n%s", part, output)
		}
	}
}

// answers fails the test unless a client is answered by one of these versions.
func (h *harness) answers(versions ...string) {
	h.t.Helper()
	if err := h.answered(h.t.Context(), h.status().Endpoint, versions...); err != nil {
		h.t.Error(err)
	}
}
