// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/gofrs/flock"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
)

const (
	module          = "github.com/bluegreen/terraform-provider-bluegreen"
	providerVersion = "0.0.1"
)

// configuration is a format. Its argument is the address of the deployment.
const configuration = `
terraform {
  required_providers {
    bluegreen = { source = "bluegreen/bluegreen" }
  }
}
provider "bluegreen" {
  local = { state_dir = "${path.root}/state" }
}
resource "bluegreen_deployment" "web" {
  name          = "web"
  version       = "1.0.0"
  image         = "${path.root}/service"
  bake_time     = "0s"
  drain_timeout = "1s"

  health_check = { http = { path = "/healthz" } }
  local        = { listen = %q }
}
`

// deployment is what Terraform has deployed from the files in dir: the router of an agent, and
// a replica behind it.
type deployment struct {
	dir, terraform string
	environ        []string
	// router is the agent, and replica the replica that it sends requests to.
	router, replica target
}

// deploy builds the provider and the service, and deploys the service. The provider is that
// of a release, or, if its agent must write profiles, the one in the package profiled.
func deploy(ctx context.Context, dir, profile string) (*deployment, error) {
	d := &deployment{dir: dir}
	var err error
	if d.terraform, err = exec.LookPath(cmp.Or(os.Getenv("TF_ACC_TERRAFORM_PATH"), "terraform")); err != nil {
		return nil, err
	}
	source := "."
	if profile != "" {
		source = "./internal/benchmarks/benchrouter/profiled"
	}
	mirror := filepath.Join(dir, "mirror")
	provider := filepath.Join(mirror, cmp.Or(os.Getenv("TF_ACC_PROVIDER_HOST"), "registry.terraform.io"),
		"bluegreen", "bluegreen", providerVersion, runtime.GOOS+"_"+runtime.GOARCH,
		"terraform-provider-bluegreen_v"+providerVersion)
	if err := build(ctx, provider, source, "-X 'main.profile="+profile+"'"); err != nil {
		return nil, err
	}
	if err := build(ctx, filepath.Join(dir, "service"), "./examples/service", ""); err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	cli := filepath.Join(dir, "cli.tfrc")
	const mirrorOnly = "provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n"
	for path, text := range map[string]string{
		cli:                           fmt.Sprintf(mirrorOnly, mirror),
		filepath.Join(dir, "main.tf"): fmt.Sprintf(configuration, address),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	d.environ = append(os.Environ(), "TF_CLI_CONFIG_FILE="+cli, "CHECKPOINT_DISABLE=1",
		"BLUEGREEN_AGENT_IDLE=1s")
	if err := d.run(ctx, "init", "-input=false"); err != nil {
		return nil, err
	}
	if err := d.run(ctx, "apply", "-auto-approve", "-input=false"); err != nil {
		return nil, d.destroyAfter(ctx, err)
	}
	if err := d.find(ctx, address); err != nil {
		return nil, d.destroyAfter(ctx, err)
	}
	return d, nil
}

// build compiles a program of this module with the flags of a release, see GNUmakefile, and
// further flags for the linker.
func build(ctx context.Context, output, source, linker string) error {
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w "+linker, "-o", output,
		module+strings.TrimPrefix(source, "."))
	command.Env = append(command.Environ(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", source, err, output)
	}
	return nil
}

// run runs Terraform.
func (d *deployment) run(ctx context.Context, arguments ...string) error {
	command := exec.CommandContext(ctx, d.terraform, append(arguments, "-no-color")...)
	command.Dir, command.Env = d.dir, d.environ
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("terraform %s: %w\n%s", strings.Join(arguments, " "), err, output)
	}
	return nil
}

// find finds the processes of the deployment.
func (d *deployment) find(ctx context.Context, address string) error {
	agent, err := client.New(d.stateDir())
	if err != nil {
		return err
	}
	pid, err := agent.PID(ctx)
	if err != nil {
		return err
	}
	d.router = target{name: ours, address: address, session: pid}
	status, err := agent.Deployment(ctx, "web")
	if err != nil {
		return err
	}
	replicas, err := agent.Instances(ctx, "web", status.Ledger.Live)
	if err != nil {
		return err
	}
	if len(replicas) != 1 {
		return fmt.Errorf("there are %d replicas, want 1", len(replicas))
	}
	d.replica = target{name: direct, address: replicas[0].Address}
	d.replica.session, err = askForPID(ctx, d.replica.address)
	return err
}

// askForPID returns the process of the service at address.
func askForPID(ctx context.Context, address string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	var answer struct{ Replica int }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return 0, fmt.Errorf("reading the replica's answer: %w", err)
	}
	return answer.Replica, nil
}

func (d *deployment) stateDir() string { return filepath.Join(d.dir, "state") }

// destroy destroys the deployment, even after an interrupt, and returns when its agent has
// ended.
func (d *deployment) destroy(ctx context.Context) error {
	if err := d.run(context.WithoutCancel(ctx), "destroy", "-auto-approve", "-input=false"); err != nil {
		return err
	}
	// An agent holds the lock until it ends.
	lock := flock.New(filepath.Join(d.stateDir(), "agent.lock"))
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("waiting for the end of the agent: %w", err)
	}
	return lock.Close()
}

// destroyAfter destroys the deployment because of cause, and returns cause.
func (d *deployment) destroyAfter(ctx context.Context, cause error) error {
	if err := d.destroy(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "benchrouter:", err)
	}
	return cause
}

// freeAddress returns an address on loopback that nothing listens on.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}
