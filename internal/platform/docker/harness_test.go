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

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

// servicePort is where the test's replicas listen.
const servicePort = 8000

// labelHarness marks the images of a lab.
const labelHarness = "bluegreen.test.harness"

// program is this very binary, but linked statically, so that it runs in a
// container with nothing else in it.
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

// lab is a Docker host with an agent of its own, on which a test may do what it
// likes. When the test is over nothing of it is left, or the test fails.
type harness struct {
	testing.TB
	connection Connection
	engine     *engine
	// name is the agent's, and part of every name that the test makes up.
	name string
	// base is an image with the program, which is agent and replica.
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
	h := &harness{TB: t, connection: connection, engine: engine, name: name, base: name + ":base", releases: map[string]bluegreen.Release{}}
	t.Cleanup(func() {
		h.removeImages()
		h.checkNothingIsLeft()
		engine.Close()
	})
	content, err := program()
	h.must(err)
	h.must(h.importImage(h.base, map[string]file{
		strings.TrimPrefix(AgentProgram, "/"): {content: content}, "bin/true": {link: AgentProgram}, "bin/false": {link: AgentProgram}, "bin/spoil": {link: AgentProgram},
	}))
	return h
}

func (h *harness) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// file is one in an image: what it holds, or another that it is a link to.
type file struct {
	content []byte
	link    string
}

// importImage makes an image of files.
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
	changes := []string{fmt.Sprintf("LABEL %s=%q", labelHarness, h.name)}
	response, err := h.engine.ImageImport(context.Background(), client.ImageImportSource{Source: &archive, SourceName: "-"}, name, client.ImageImportOptions{Changes: changes})
	if err != nil {
		return err
	}
	defer response.Close()
	return awaitProgress(response)
}

// buildImage makes an image of a Dockerfile and the files beside it.
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
	response, err := h.engine.ImageBuild(context.Background(), &archive, client.ImageBuildOptions{Tags: []string{name}, Remove: true, ForceRemove: true})
	h.must(err)
	defer response.Body.Close()
	h.must(awaitProgress(response.Body))
}

// imageOf is the reference of the image that serves version.
func (h *harness) imageOf(version string) string { return h.name + ":" + version }

// release returns a release of two replicas that serves version and behaves so.
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
		h.buildImage(release.Image, "FROM "+h.base+"\nCOPY version.txt /\nENTRYPOINT [\""+AgentProgram+"\"]", map[string][]byte{"version.txt": content})
		release.Settings = Workload{Port: servicePort}
		release.Replicas = 2
		h.releases[key] = release
	}
	return release
}

// open returns a platform as a process that has just started sees it.
func (h *harness) open(t testing.TB, deployment string) *Platform {
	t.Helper()
	return h.openWith(t, h.options(deployment))
}

func (h *harness) options(deployment string) Options {
	return Options{
		Connection: h.connection,
		Name:       deployment,
		Frontend:   agent.Frontend{DrainTimeout: time.Second},
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

// checker is a health check that does not take long.
func checker(t testing.TB) bluegreen.Checker {
	t.Helper()
	c, err := health.New(health.Config{Interval: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// removeImages removes the images of the lab. One that others are built from goes
// after them.
func (h *harness) removeImages() {
	h.Helper()
	for {
		list, err := h.engine.ImageList(context.Background(), client.ImageListOptions{Filters: client.Filters{}.Add("label", labelHarness+"="+h.name)})
		h.must(err)
		if len(list.Items) == 0 {
			return
		}
		var refusals []error
		for _, image := range list.Items {
			_, err := h.engine.ImageRemove(context.Background(), image.ID, client.ImageRemoveOptions{Force: true, PruneChildren: true})
			if err != nil && !errdefs.IsNotFound(err) {
				refusals = append(refusals, err)
			}
		}
		if len(refusals) == len(list.Items) {
			h.Fatalf("removing the test's images: %v", errors.Join(refusals...))
		}
	}
}

// checkNothingIsLeft fails the test if anything carries the labels of its agent, and removes it.
func (h *harness) checkNothingIsLeft() {
	ctx := context.Background()
	ours := client.Filters{}.Add("label", labelAgent+"="+h.name)
	containers, err := h.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: ours})
	h.must(err)
	for _, c := range containers.Items {
		h.Errorf("container %s (%s) is left", c.Names, c.Status)
		_, _ = h.engine.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	}
	networks, err := h.engine.NetworkList(ctx, client.NetworkListOptions{Filters: ours})
	h.must(err)
	for _, n := range networks.Items {
		h.Errorf("network %s is left", n.Name)
		_, _ = h.engine.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
	}
	volumes, err := h.engine.VolumeList(ctx, client.VolumeListOptions{Filters: ours})
	h.must(err)
	for _, v := range volumes.Items {
		h.Errorf("volume %s is left", v.Name)
		_, _ = h.engine.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{Force: true})
	}
	images, err := h.engine.ImageList(ctx, client.ImageListOptions{Filters: ours})
	h.must(err)
	for _, i := range images.Items {
		h.Errorf("image %s is left", i.RepoTags)
		_, _ = h.engine.ImageRemove(ctx, i.ID, client.ImageRemoveOptions{Force: true})
	}
}
