// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

// servicePort is the port that the test's replicas listen on.
const servicePort = 8000

// labelHarness marks the images of a harness.
const labelHarness = "bluegreen.test.harness"

// program returns this test binary, linked statically, so that it runs in an otherwise
// empty container.
var program = sync.OnceValues(func() (content []byte, err error) {
	dir, err := os.MkdirTemp("", "bluegreen-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	build := exec.Command("go", "test", "-c", "-ldflags=-s -w", "-o", filepath.Join(dir, "program"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building a static program: %w\n%s", err, output)
	}
	return os.ReadFile(filepath.Join(dir, "program"))
})

// harness gives a test an agent of its own on a Docker host. The test fails if it leaves
// anything on the host.
type harness struct {
	testing.TB
	connection Connection
	engine     *engine
	// name is the agent's name, and a part of every other name that the test uses.
	name string
	// base is an image with the test's program, which is both the agent and the replica.
	base string

	mu       sync.Mutex
	releases map[string]bluegreen.Release
}

func newHarness(t testing.TB) *harness {
	t.Helper()
	return newHarnessAt(t, Connection{})
}

func newHarnessAt(t testing.TB, connection Connection) *harness {
	t.Helper()
	engine, err := connection.open()
	if err != nil {
		t.Fatal(err)
	}
	name := "bgtest-" + strings.ToLower(rand.Text()[:8])
	h := &harness{
		TB: t, connection: connection, engine: engine, name: name, base: name + ":base",
		releases: map[string]bluegreen.Release{},
	}
	t.Cleanup(func() {
		h.removeImages()
		h.checkNothingIsLeft()
		engine.Close()
	})
	content, err := program()
	h.must(err)
	h.must(h.importImage(h.base, map[string]file{
		strings.TrimPrefix(AgentProgram, "/"): {content: content},
		"bin/true":                            {link: AgentProgram},
		"bin/false":                           {link: AgentProgram},
		"bin/spoil":                           {link: AgentProgram},
	}))
	return h
}

// inspect returns what the engine reports about a container.
func (h *harness) inspect(name string) client.ContainerInspectResult {
	h.Helper()
	found, err := h.engine.ContainerInspect(context.Background(), name, client.ContainerInspectOptions{})
	h.must(err)
	return found
}

// removeContainer removes a container, and the volumes that only it uses.
func (h *harness) removeContainer(name string) {
	h.Helper()
	options := client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}
	_, err := h.engine.ContainerRemove(context.Background(), name, options)
	h.must(err)
}

func (h *harness) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// file is a file in an image. It has content, or is a link to another file.
type file struct {
	content []byte
	link    string
}

// importImage creates an image from files.
func (h *harness) importImage(name string, files map[string]file) error {
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	for path, f := range files {
		header := &tar.Header{Name: path, Mode: 0o755, Size: int64(len(f.content)), Linkname: f.link}
		if f.link != "" {
			header.Typeflag = tar.TypeSymlink
		}
		if err := writer.WriteHeader(header); err != nil {
			return err
		}
		if _, err := writer.Write(f.content); err != nil {
			return err
		}
	}
	if err := writer.Close(); err != nil {
		return err
	}
	label := fmt.Sprintf("LABEL %s=%q", labelHarness, h.name)
	source := client.ImageImportSource{Source: &archive, SourceName: "-"}
	options := client.ImageImportOptions{Changes: []string{label}}
	response, err := h.engine.ImageImport(context.Background(), source, name, options)
	if err != nil {
		return err
	}
	defer response.Close()
	return awaitProgress(response)
}

// buildImage builds an image from a Dockerfile and other files.
func (h *harness) buildImage(name, dockerfile string, files map[string][]byte) {
	h.Helper()
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	add := func(path string, content []byte) {
		h.must(writer.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Size: int64(len(content))}))
		_, err := writer.Write(content)
		h.must(err)
	}
	add("Dockerfile", []byte(dockerfile))
	for path, content := range files {
		add(path, content)
	}
	h.must(writer.Close())
	options := client.ImageBuildOptions{Tags: []string{name}, Remove: true, ForceRemove: true}
	response, err := h.engine.ImageBuild(context.Background(), &archive, options)
	h.must(err)
	defer response.Body.Close()
	h.must(awaitProgress(response.Body))
}

// imageOf returns the reference of the image that serves version.
func (h *harness) imageOf(version string) string { return h.name + ":" + version }

// release returns a release of two replicas that serves version in the given mode.
func (h *harness) release(version string, mode agenttest.Mode) bluegreen.Release {
	h.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	key := string(mode) + version
	release, made := h.releases[key]
	if !made {
		release = agenttest.Release(h.TB, version, mode)
		content, err := os.ReadFile(filepath.Join(release.Image, "version.txt"))
		h.must(err)
		release.Image, release.Command = h.imageOf(version), nil
		dockerfile := "FROM " + h.base + "\nCOPY version.txt /\nENTRYPOINT [\"" + AgentProgram + "\"]"
		h.buildImage(release.Image, dockerfile, map[string][]byte{"version.txt": content})
		release.Settings = Workload{Port: servicePort}
		release.Replicas = 2
		h.releases[key] = release
	}
	return release
}

// open returns a new platform, as a process that has just started has it.
func (h *harness) open(t testing.TB, deployment string) *Platform {
	t.Helper()
	return h.openWith(t, h.options(deployment))
}

func (h *harness) options(deployment string) Options {
	return Options{
		Connection: h.connection,
		Name:       deployment,
		Frontend:   Frontend{DrainTimeout: time.Second},
		Agent:      Agent{Name: h.name, Image: h.base},
	}
}

func (h *harness) openWith(t testing.TB, opts Options) *Platform {
	t.Helper()
	p, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// newChecker returns a health check with a short interval.
func newChecker(t testing.TB) bluegreen.Checker {
	t.Helper()
	c, err := health.New(health.Config{Interval: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// removeImages removes the images of the harness. An image that others are built from is
// removed after them.
func (h *harness) removeImages() {
	h.Helper()
	for {
		filters := client.Filters{}.Add("label", labelHarness+"="+h.name)
		list, err := h.engine.ImageList(context.Background(), client.ImageListOptions{Filters: filters})
		h.must(err)
		if len(list.Items) == 0 {
			return
		}
		var refusals []error
		for _, image := range list.Items {
			options := client.ImageRemoveOptions{Force: true, PruneChildren: true}
			_, err := h.engine.ImageRemove(context.Background(), image.ID, options)
			if err != nil && !errdefs.IsNotFound(err) {
				refusals = append(refusals, err)
			}
		}
		if len(refusals) == len(list.Items) {
			h.Fatalf("removing the test's images: %v", errors.Join(refusals...))
		}
	}
}

// checkNothingIsLeft fails the test if any object carries the labels of its agent, and
// removes the object.
func (h *harness) checkNothingIsLeft() {
	ctx := context.Background()
	owned := client.Filters{}.Add("label", labelAgent+"="+h.name)
	containers, err := h.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: owned})
	h.must(err)
	for _, c := range containers.Items {
		h.Errorf("container %s (%s) is left", c.Names, c.Status)
		_, _ = h.engine.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	}
	networks, err := h.engine.NetworkList(ctx, client.NetworkListOptions{Filters: owned})
	h.must(err)
	for _, n := range networks.Items {
		h.Errorf("network %s is left", n.Name)
		_, _ = h.engine.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
	}
	volumes, err := h.engine.VolumeList(ctx, client.VolumeListOptions{Filters: owned})
	h.must(err)
	for _, v := range volumes.Items {
		h.Errorf("volume %s is left", v.Name)
		_, _ = h.engine.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{Force: true})
	}
	images, err := h.engine.ImageList(ctx, client.ImageListOptions{Filters: owned})
	h.must(err)
	for _, i := range images.Items {
		h.Errorf("image %s is left", i.RepoTags)
		_, _ = h.engine.ImageRemove(ctx, i.ID, client.ImageRemoveOptions{Force: true})
	}
}
