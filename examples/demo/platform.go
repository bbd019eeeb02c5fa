// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// platform is where the demo's service runs. The demo is the same on each platform.
type platform interface {
	// checkPrerequisites returns an error of one line if something is missing. It is called
	// before anything is created.
	checkPrerequisites(ctx context.Context) error
	// buildImage builds the release's image from the service's program, and returns what
	// the configuration names as image. The program is alone in its directory.
	buildImage(ctx context.Context, program string) (image string, err error)
	// environment returns environment variables for Terraform.
	environment() []string
	// clientURL returns the URL at which clients reach the endpoint that the provider
	// reports. It waits until the service answers there.
	clientURL(ctx context.Context, endpoint string) (url string, err error)
	// observationTime is how long the load goes on after an apply, to see late failures. It
	// does not count as the step's time.
	observationTime() time.Duration
	// clean removes what was created, once nothing is deployed any more. It may be called
	// when nothing was created.
	clean(ctx context.Context) error
}

// newPlatform returns the platform called kind.
func newPlatform(kind string, w *workDir) (platform, error) {
	switch kind {
	case "local":
		return &localPlatform{stateDir: w.stateDir()}, nil
	case "docker":
		dockerfile := filepath.Join(w.module, "examples", "service", "Dockerfile")
		return &dockerPlatform{w.name() + ":demo", w.name() + "-agent", dockerfile}, nil
	case "kubernetes":
		return newKubernetesPlatform(w.name())
	default:
		return nil, fmt.Errorf("PLATFORM is %q, and must be local, docker or kubernetes", kind)
	}
}

// run runs a program and returns its output. An error ends with the last line that the
// program wrote to stderr.
func run(ctx context.Context, env []string, program string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, program, args...)
	command.Env = append(command.Environ(), env...)
	setProcessGroup(command)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		err = fmt.Errorf("%s %s: %w: %s", program, args[0], err, lines[len(lines)-1])
	}
	return strings.TrimSpace(string(output)), err
}
