// SPDX-License-Identifier: MPL-2.0

package main

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

//go:embed main.tf
var configuration []byte

// providerVersion is what the demo installs the provider as.
const providerVersion = "0.1.0"

// workshop is a temporary directory that holds everything the demo makes on this
// machine: the built provider and service, Terraform's files, the agent's state.
type workshop struct {
	dir      string
	module   string
	platform platform
	// image is what a release names, once it is built.
	image string
	// program is Terraform's or OpenTofu's.
	program string
	// registry is where the program expects a provider that names no registry.
	registry string
}

// openWorkshop checks the prerequisites and makes the directory. Errors say in
// one line what is missing.
func openWorkshop(ctx context.Context) (*workshop, error) {
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
	w := &workshop{dir: dir, module: module, program: program, registry: registry}
	w.platform, err = newPlatform(w.kind(), w)
	if err == nil {
		err = w.platform.require(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	return w, nil
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

// kind is the name of the platform.
func (w *workshop) kind() string { return cmp.Or(os.Getenv("PLATFORM"), "local") }

// name is the deployment's, which nothing else on the platform has.
func (w *workshop) name() string { return filepath.Base(w.dir) }

func (w *workshop) mirror() string    { return filepath.Join(w.dir, "mirror") }
func (w *workshop) service() string   { return filepath.Join(w.dir, "image", "service") }
func (w *workshop) stateDir() string  { return filepath.Join(w.dir, "state") }
func (w *workshop) cliConfig() string { return filepath.Join(w.dir, "cli.tfrc") }

// build compiles the provider into a filesystem mirror, and the service, and makes
// an image of that. Both programs are static: they are all that is in an image.
func (w *workshop) build(ctx context.Context) error {
	provider := filepath.Join(w.mirror(), w.registry, "bluegreen", "bluegreen", providerVersion,
		runtime.GOOS+"_"+runtime.GOARCH, "terraform-provider-bluegreen_v"+providerVersion)
	for target, source := range map[string]string{provider: ".", w.service(): "./examples/service"} {
		command := exec.CommandContext(ctx, "go", "build", "-ldflags", "-X main.version="+providerVersion, "-o", target, source)
		command.Dir = w.module
		command.Env = append(command.Environ(), "CGO_ENABLED=0")
		if said, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("go build %s: %w\n%s", source, err, strings.TrimSpace(string(said)))
		}
	}
	var err error
	w.image, err = w.platform.prepare(ctx, w.service())
	return err
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
	place := fmt.Sprintf("locals {\n  platform = %q\n}\n", w.kind())
	if err := os.WriteFile(filepath.Join(dir, "platform.tf"), []byte(place), 0o600); err != nil {
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
	env = append(env, "TF_CLI_CONFIG_FILE="+w.cliConfig(), "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1")
	return append(env, w.platform.environment()...)
}

// close cleans the platform and removes the directory.
func (w *workshop) close(ctx context.Context) error {
	return errors.Join(w.platform.clean(ctx), os.RemoveAll(w.dir))
}
