// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// sources determine the binaries: they hold the versions of all modules, and the pause
// program.
//
//go:embed go.mod go.sum pause/main.go
var sources embed.FS

const kubernetes = "k8s.io/kubernetes"

// binariesDir returns a directory of the user's cache. Its name depends on the sources, so
// the binaries in it are up to date.
func binariesDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("testbed: no cache directory: %w", err)
	}
	digest := sha256.New()
	digest.Write([]byte(runtime.Version() + " " + runtime.GOARCH))
	for _, name := range []string{"go.mod", "go.sum", "pause/main.go"} {
		text, err := sources.ReadFile(name)
		if err != nil {
			return "", err
		}
		digest.Write(text)
	}
	return filepath.Join(cache, "bluegreen-testbed", hex.EncodeToString(digest.Sum(nil))[:16]), nil
}

// build builds the components that are written in Go, unless they are built already. It
// runs in this module's directory.
func (c *cluster) build(ctx context.Context) (err error) {
	if _, err := os.Stat(c.Binaries); err == nil {
		return nil
	}
	own, err := sources.ReadFile("go.mod")
	if err != nil {
		return err
	}
	if here, err := os.ReadFile("go.mod"); err != nil || !bytes.Equal(here, own) {
		return errors.New("testbed: nothing is built yet; run `make testbed` in the repository")
	}
	release, err := output(exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Version}}", kubernetes))
	if err != nil {
		return err
	}
	fmt.Printf("building Kubernetes %s; the first time it takes about six minutes\n", release)

	// The directory is renamed once all binaries are in it.
	if err := os.MkdirAll(filepath.Dir(c.Binaries), 0o755); err != nil {
		return err
	}
	unfinished, err := os.MkdirTemp(filepath.Dir(c.Binaries), "build-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(unfinished)) }()
	args := []string{"build", "-trimpath", "-ldflags", linkerFlags(release), "-o", unfinished, "./pause"}
	for _, program := range []string{
		"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy",
	} {
		args = append(args, kubernetes+"/cmd/"+program)
	}
	command := exec.CommandContext(ctx, "go", args...)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := execute(command); err != nil {
		return err
	}
	return os.Rename(unfinished, c.Binaries)
}

// linkerFlags returns the flags that set the programs' version, as the release builds do.
func linkerFlags(version string) string {
	flags := []string{"-s", "-w"}
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	for _, set := range []string{"gitVersion=" + version, "gitMajor=" + major, "gitMinor=" + minor} {
		flags = append(flags, "-X", "k8s.io/component-base/version."+set)
	}
	return strings.Join(flags, " ")
}
