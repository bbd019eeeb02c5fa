// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// containerdNamespace is the namespace in which the kubelet looks for images.
const containerdNamespace = "k8s.io"

// load imports image archives.
func (c *cluster) load(ctx context.Context, archives []string) error {
	for _, path := range archives {
		if _, err := c.ctr(ctx, nil, "images", "import", path); err != nil {
			return err
		}
	}
	return nil
}

// loadBinary imports an image that holds files and runs the first of them. It completes
// the name as Docker does: web:1 is docker.io/library/web:1.
func (c *cluster) loadBinary(ctx context.Context, image string, files []string) error {
	tag, err := name.NewTag(image, name.WithDefaultRegistry("docker.io"))
	if err != nil {
		return err
	}
	// containerd knows Docker's registry by this name only.
	if tag, err = name.NewTag(strings.Replace(tag.Name(), name.DefaultRegistry, "docker.io", 1)); err != nil {
		return err
	}
	content, err := fromScratch(files)
	if err != nil {
		return err
	}
	var archive bytes.Buffer
	if err := tarball.Write(tag, content, &archive); err != nil {
		return err
	}
	_, err = c.ctr(ctx, &archive, "images", "import", "-")
	return err
}

// loadPause imports the image that every pod needs, unless containerd has it.
func (c *cluster) loadPause(ctx context.Context) error {
	found, err := c.ctr(ctx, nil, "images", "list", "--quiet", "name=="+c.PauseImage)
	if err != nil || found != "" {
		return err
	}
	return c.loadBinary(ctx, c.PauseImage, []string{filepath.Join(c.Binaries, "pause")})
}

// ctr runs a ctr command on the cluster's containerd, and returns its output.
func (c *cluster) ctr(ctx context.Context, input io.Reader, args ...string) (string, error) {
	args = append([]string{"--address", c.ContainerdSocket, "--namespace", containerdNamespace}, args...)
	command := exec.CommandContext(ctx, "ctr", args...)
	command.Stdin = input
	return output(command)
}

// fromScratch returns an image with nothing but files in its root directory.
func fromScratch(files []string) (v1.Image, error) {
	var layer bytes.Buffer
	writer := tar.NewWriter(&layer)
	for _, path := range files {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		header := &tar.Header{Name: filepath.Base(path), Mode: 0o755, Size: int64(len(content))}
		if err := writer.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := writer.Write(content); err != nil {
			return nil, err
		}
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	added, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(layer.Bytes())), nil
	})
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, added)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config.Entrypoint = []string{"/" + filepath.Base(files[0])}
	image, err = mutate.ConfigFile(image, config)
	if err != nil {
		return nil, fmt.Errorf("image of %s: %w", files[0], err)
	}
	return image, nil
}
