// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// dockerPlatform runs the service as containers on the engine that the docker command
// uses. The engine must be on this machine, because the demo's clients are here.
type dockerPlatform struct {
	// image is the image of the service, and agent the name of the demo's own agent.
	image, agent string
	dockerfile   string
}

var _ platform = (*dockerPlatform)(nil)

func (p *dockerPlatform) checkPrerequisites(ctx context.Context) error {
	if _, err := exec.LookPath("docker"); err != nil {
		return errors.New("missing: the docker command is not in PATH (https://docs.docker.com/engine/install/)")
	}
	system, err := p.docker(ctx, "version", "--format", "{{.Server.Os}}/{{.Server.Arch}}")
	if err != nil {
		return fmt.Errorf("missing: a Docker engine that answers: %w", err)
	}
	if here := runtime.GOOS + "/" + runtime.GOARCH; system != here {
		return fmt.Errorf("missing: a Docker engine for %s, which this machine is; the engine is for %s", here, system)
	}
	host, err := p.docker(ctx, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
	if err != nil || !strings.HasPrefix(host, "unix://") {
		return fmt.Errorf("missing: a Docker engine on this machine; docker uses %q", host)
	}
	return nil
}

func (p *dockerPlatform) buildImage(ctx context.Context, program string) (string, error) {
	_, err := p.docker(ctx, "build", "--quiet", "--tag", p.image, "--file", p.dockerfile, filepath.Dir(program))
	return p.image, err
}

func (p *dockerPlatform) environment() []string { return nil }

func (p *dockerPlatform) clientURL(_ context.Context, endpoint string) (string, error) {
	return endpoint, nil
}

func (p *dockerPlatform) observationTime() time.Duration { return time.Second }

// clean removes the image. It returns an error if the provider has left anything.
func (p *dockerPlatform) clean(ctx context.Context) error {
	var failures []error
	if id, err := p.docker(ctx, "images", "--quiet", p.image); err != nil || id != "" {
		_, removal := p.docker(ctx, "image", "rm", "--force", p.image)
		failures = append(failures, err, removal)
	}
	for _, kind := range []string{"container", "network", "volume", "image"} {
		list := []string{kind, "ls", "--quiet", "--filter", "label=io.github.bluegreen.agent=" + p.agent}
		if kind == "container" {
			list = append(list, "--all")
		}
		left, err := p.docker(ctx, list...)
		if left != "" {
			err = fmt.Errorf("left behind: %s %s", kind, left)
		}
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

func (p *dockerPlatform) docker(ctx context.Context, args ...string) (string, error) {
	return run(ctx, nil, "docker", args...)
}
