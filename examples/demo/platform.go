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

// platform is where the demo's service runs. Everywhere it is the same play.
type platform interface {
	// require says in one line what is missing, before anything is made.
	require(ctx context.Context) error
	// prepare makes of the service's program, which is alone in its directory, what
	// a release names as its image.
	prepare(ctx context.Context, program string) (image string, err error)
	// environment is what Terraform is told beside its variables.
	environment() []string
	// reach returns where clients reach what the provider says is at endpoint, once
	// something answers there.
	reach(ctx context.Context, endpoint string) (url string, err error)
	// linger is how long the load goes on after an apply, so that a late failure is
	// seen. It does not count as the step's time.
	linger() time.Duration
	// clean removes what was made, once nothing is deployed any more. It may be
	// called when nothing was made.
	clean(ctx context.Context) error
}

// newPlatform returns the platform called kind for the work in w.
func newPlatform(kind string, w *workshop) (platform, error) {
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

// run runs a program and returns what it printed. An error ends with what the
// program said last.
func run(ctx context.Context, env []string, program string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, program, args...)
	command.Env = append(command.Environ(), env...)
	ownProcessGroup(command)
	var complaint bytes.Buffer
	command.Stderr = &complaint
	said, err := command.Output()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(complaint.String()), "\n")
		err = fmt.Errorf("%s %s: %w: %s", program, args[0], err, lines[len(lines)-1])
	}
	return strings.TrimSpace(string(said)), err
}
