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

// providerVersion is the version of the provider that the demo installs.
const providerVersion = "0.1.0"

// workDir is a temporary directory with everything that the demo creates on this machine:
// the built provider and service, Terraform's files, and the agent's state.
type workDir struct {
	dir      string
	module   string
	platform platform
	// image is what the configuration names as image, once it is built.
	image string
	// program is the path of Terraform or OpenTofu.
	program string
	// registry is the registry of providers whose source names none.
	registry string
}

// newWorkDir checks the prerequisites and creates the directory. Errors say in one line
// what is missing.
func newWorkDir(ctx context.Context) (*workDir, error) {
	module, err := findModule(ctx)
	if err != nil {
		return nil, err
	}
	program, registry, err := findTerraform(ctx)
	if err != nil {
		return nil, err
	}
	// The name is short, because the path of the agent's socket below it has at most 104
	// bytes.
	dir, err := os.MkdirTemp("", "bg")
	if err != nil {
		return nil, err
	}
	w := &workDir{dir: dir, module: module, program: program, registry: registry}
	w.platform, err = newPlatform(w.kind(), w)
	if err == nil {
		err = w.platform.checkPrerequisites(ctx)
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
	output, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	file := strings.TrimSpace(string(output))
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
		return "", "", fmt.Errorf("missing: %s is not in PATH (https://developer.hashicorp.com/terraform/install "+
			"or https://opentofu.org/docs/intro/install/)", strings.Join(candidates, " or "))
	}
	version := exec.CommandContext(ctx, program, "version")
	// The user's own configuration must not have an effect on the demo. A warning about it
	// would be printed before the name that is read here.
	version.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+os.DevNull)
	output, err := version.Output()
	if err != nil {
		return "", "", fmt.Errorf("missing: %s version: %w", program, err)
	}
	if strings.HasPrefix(string(output), "OpenTofu") {
		return program, "registry.opentofu.org", nil
	}
	return program, "registry.terraform.io", nil
}

// kind returns the name of the platform.
func (w *workDir) kind() string { return cmp.Or(os.Getenv("PLATFORM"), "local") }

// name returns the name of the deployment. Nothing else on the platform has it.
func (w *workDir) name() string { return filepath.Base(w.dir) }

func (w *workDir) mirror() string    { return filepath.Join(w.dir, "mirror") }
func (w *workDir) service() string   { return filepath.Join(w.dir, "image", "service") }
func (w *workDir) stateDir() string  { return filepath.Join(w.dir, "state") }
func (w *workDir) cliConfig() string { return filepath.Join(w.dir, "cli.tfrc") }

// build compiles the provider into a filesystem mirror, compiles the service, and builds
// its image. Both programs are linked statically, because an image holds nothing else.
func (w *workDir) build(ctx context.Context) error {
	provider := filepath.Join(w.mirror(), w.registry, "bluegreen", "bluegreen", providerVersion,
		runtime.GOOS+"_"+runtime.GOARCH, "terraform-provider-bluegreen_v"+providerVersion)
	for target, source := range map[string]string{provider: ".", w.service(): "./examples/service"} {
		flags := "-X main.version=" + providerVersion
		command := exec.CommandContext(ctx, "go", "build", "-ldflags", flags, "-o", target, source)
		command.Dir = w.module
		command.Env = append(command.Environ(), "CGO_ENABLED=0")
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("go build %s: %w\n%s", source, err, strings.TrimSpace(string(output)))
		}
	}
	var err error
	w.image, err = w.platform.buildImage(ctx, w.service())
	return err
}

// terraform writes the configuration, and returns the program that applies it.
func (w *workDir) terraform() (terraform, error) {
	dir := filepath.Join(w.dir, "terraform")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return terraform{}, err
	}
	cli := fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", w.mirror())
	if err := os.WriteFile(w.cliConfig(), []byte(cli), 0o600); err != nil {
		return terraform{}, err
	}
	platform := fmt.Sprintf("locals {\n  platform = %q\n}\n", w.kind())
	if err := os.WriteFile(filepath.Join(dir, "platform.tf"), []byte(platform), 0o600); err != nil {
		return terraform{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, "main.tf"), configuration, 0o600); err != nil {
		return terraform{}, err
	}
	return terraform{program: w.program, dir: dir, env: w.environment()}, nil
}

// environment returns the environment variables of this process without those of other
// Terraform configurations.
func (w *workDir) environment() []string {
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
func (w *workDir) close(ctx context.Context) error {
	return errors.Join(w.platform.clean(ctx), os.RemoveAll(w.dir))
}
