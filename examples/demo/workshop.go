// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

//go:embed main.tf
var configuration []byte

const (
	// providerVersion is what the demo installs the provider as.
	providerVersion = "0.1.0"
	// agentLeaves is how long the agent may take to leave once nothing is deployed.
	agentLeaves = 5 * time.Second
)

// workshop is a temporary directory that holds everything the demo makes:
// the built provider and service, Terraform's files and the agent's state.
type workshop struct {
	dir     string
	module  string
	program string
	// registry is where the program expects a provider that names no registry.
	registry string
}

// openWorkshop checks the prerequisites and makes the directory. Errors say in
// one line what is missing.
func openWorkshop(ctx context.Context) (*workshop, error) {
	if !supported {
		return nil, fmt.Errorf("missing: the demo deploys processes, which needs Linux, macOS or FreeBSD; this is %s", runtime.GOOS)
	}
	module, err := findModule(ctx)
	if err != nil {
		return nil, err
	}
	program, registry, err := findTerraform(ctx)
	if err != nil {
		return nil, err
	}
	// The name is short because the agent's socket, below it, may have 104 bytes at most.
	dir, err := os.MkdirTemp("", "bg")
	if err != nil {
		return nil, err
	}
	return &workshop{dir: dir, module: module, program: program, registry: registry}, nil
}

func findModule(ctx context.Context) (string, error) {
	if _, err := exec.LookPath("go"); err != nil {
		return "", errors.New("missing: Go is not in PATH (https://go.dev/dl/)")
	}
	said, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	file := strings.TrimSpace(string(said))
	if filepath.Base(file) != "go.mod" {
		return "", errors.New("missing: run the demo inside the repository")
	}
	return filepath.Dir(file), nil
}

func findTerraform(ctx context.Context) (program, registry string, err error) {
	candidates := []string{"terraform", "tofu"}
	if chosen := os.Getenv("TF"); chosen != "" {
		candidates = []string{chosen}
	}
	for _, name := range candidates {
		if program, err = exec.LookPath(name); err == nil {
			break
		}
	}
	if err != nil {
		return "", "", fmt.Errorf("missing: %s is not in PATH (https://developer.hashicorp.com/terraform/install or https://opentofu.org/docs/intro/install/)", strings.Join(candidates, " or "))
	}
	version := exec.CommandContext(ctx, program, "version")
	// The user's own configuration, which may be missing, has no say in the demo;
	// a complaint about it would come before the name that is looked for here.
	version.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+os.DevNull)
	said, err := version.Output()
	if err != nil {
		return "", "", fmt.Errorf("missing: %s version: %w", program, err)
	}
	if strings.HasPrefix(string(said), "OpenTofu") {
		return program, "registry.opentofu.org", nil
	}
	return program, "registry.terraform.io", nil
}

func (w *workshop) mirror() string    { return filepath.Join(w.dir, "mirror") }
func (w *workshop) service() string   { return filepath.Join(w.dir, "service") }
func (w *workshop) stateDir() string  { return filepath.Join(w.dir, "state") }
func (w *workshop) cliConfig() string { return filepath.Join(w.dir, "cli.tfrc") }

// build compiles the provider into a filesystem mirror, and the service.
func (w *workshop) build(ctx context.Context) error {
	provider := filepath.Join(w.mirror(), w.registry, "bluegreen", "bluegreen", providerVersion,
		runtime.GOOS+"_"+runtime.GOARCH, "terraform-provider-bluegreen_v"+providerVersion)
	for target, source := range map[string]string{provider: ".", w.service(): "./examples/service"} {
		command := exec.CommandContext(ctx, "go", "build", "-ldflags", "-X main.version="+providerVersion, "-o", target, source)
		command.Dir = w.module
		if said, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("go build %s: %w\n%s", source, err, strings.TrimSpace(string(said)))
		}
	}
	return nil
}

// terraform writes the configuration and returns the program to apply it with.
func (w *workshop) terraform() (terraform, error) {
	dir := filepath.Join(w.dir, "terraform")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return terraform{}, err
	}
	cli := fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", w.mirror())
	if err := os.WriteFile(w.cliConfig(), []byte(cli), 0o600); err != nil {
		return terraform{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, "main.tf"), configuration, 0o600); err != nil {
		return terraform{}, err
	}
	return terraform{program: w.program, dir: dir, env: w.environment()}, nil
}

// environment is this process's without the settings of other Terraform work.
func (w *workshop) environment() []string {
	var env []string
	for _, setting := range os.Environ() {
		if !strings.HasPrefix(setting, "TF_") {
			env = append(env, setting)
		}
	}
	return append(env,
		"TF_CLI_CONFIG_FILE="+w.cliConfig(),
		"TF_IN_AUTOMATION=1",
		"CHECKPOINT_DISABLE=1",
		"BLUEGREEN_AGENT_IDLE=1s",
	)
}

// close waits for the agent to leave, stops it if it does not, and removes the directory.
func (w *workshop) close(ctx context.Context) error {
	return errors.Join(w.dismissAgent(ctx), os.RemoveAll(w.dir))
}

func (w *workshop) dismissAgent(ctx context.Context) error {
	if w.agentGone(ctx) {
		return nil
	}
	pid, err := w.agent(ctx)
	if err != nil {
		return fmt.Errorf("the agent of %s still runs: %w", w.stateDir(), err)
	}
	if err := terminate(pid); err != nil {
		return fmt.Errorf("stop the agent, process %d: %w", pid, err)
	}
	if !w.agentGone(ctx) {
		return fmt.Errorf("the agent, process %d, does not stop", pid)
	}
	return nil
}

// agent finds the agent of this workshop, whose command line names its directory.
func (w *workshop) agent(ctx context.Context) (pid int, err error) {
	processes, err := exec.CommandContext(ctx, "ps", "-axo", "pid=,command=").Output()
	if err != nil {
		return 0, fmt.Errorf("ps: %w", err)
	}
	for line := range strings.Lines(string(processes)) {
		if id, command, _ := strings.Cut(strings.TrimSpace(line), " "); strings.Contains(command, "-state-dir "+w.stateDir()) {
			return strconv.Atoi(id)
		}
	}
	return 0, errors.New("no process has that directory on its command line")
}

// agentGone reports whether the agent's socket stops answering in good time.
func (w *workshop) agentGone(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, agentLeaves)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		connection, err := (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(w.stateDir(), "agent.sock"))
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
