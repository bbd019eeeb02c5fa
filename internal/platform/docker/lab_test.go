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

// labelLab marks the images of a lab.
const labelLab = "bluegreen.test.lab"

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
type lab struct {
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

func newLab(t testing.TB) *lab {
	t.Helper()
	return newLabAt(t, Connection{})
}

func newLabAt(t testing.TB, connection Connection) *lab {
	t.Helper()
	engine, err := connection.open()
	if err != nil {
		t.Fatal(err)
	}
	name := "bgtest-" + strings.ToLower(rand.Text()[:8])
	l := &lab{TB: t, connection: connection, engine: engine, name: name, base: name + ":base", releases: map[string]bluegreen.Release{}}
	t.Cleanup(func() {
		l.removeImages()
		l.nothingLeft()
		engine.Close()
	})
	content, err := program()
	l.must(err)
	l.must(l.importImage(l.base, map[string]file{
		strings.TrimPrefix(AgentProgram, "/"): {content: content}, "bin/true": {link: AgentProgram}, "bin/false": {link: AgentProgram}, "bin/spoil": {link: AgentProgram},
	}))
	return l
}

func (l *lab) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// file is one in an image: what it holds, or another that it is a link to.
type file struct {
	content []byte
	link    string
}

// importImage makes an image of files.
func (l *lab) importImage(name string, files map[string]file) error {
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
	changes := []string{fmt.Sprintf("LABEL %s=%q", labelLab, l.name)}
	response, err := l.engine.ImageImport(context.Background(), client.ImageImportSource{Source: &archive, SourceName: "-"}, name, client.ImageImportOptions{Changes: changes})
	if err != nil {
		return err
	}
	defer response.Close()
	return lastError(response)
}

// buildImage makes an image of a Dockerfile and the files beside it.
func (l *lab) buildImage(name, dockerfile string, files map[string][]byte) {
	l.Helper()
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	add := func(path string, content []byte) {
		l.must(writer.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Size: int64(len(content))}))
		_, err := writer.Write(content)
		l.must(err)
	}
	add("Dockerfile", []byte(dockerfile))
	for path, content := range files {
		add(path, content)
	}
	l.must(writer.Close())
	response, err := l.engine.ImageBuild(context.Background(), &archive, client.ImageBuildOptions{Tags: []string{name}, Remove: true, ForceRemove: true})
	l.must(err)
	defer response.Body.Close()
	l.must(lastError(response.Body))
}

// imageOf is the reference of the image that serves version.
func (l *lab) imageOf(version string) string { return l.name + ":" + version }

// release returns a release of two replicas that serves version and behaves so.
func (l *lab) release(version string, mode agenttest.Mode) bluegreen.Release {
	l.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	key := string(mode) + version
	release, made := l.releases[key]
	if !made {
		release = agenttest.Release(l.TB, version, mode)
		content, err := os.ReadFile(filepath.Join(release.Image, "version.txt"))
		l.must(err)
		release.Image, release.Command = l.imageOf(version), nil
		l.buildImage(release.Image, "FROM "+l.base+"\nCOPY version.txt /\nENTRYPOINT [\""+AgentProgram+"\"]", map[string][]byte{"version.txt": content})
		release.Settings = Workload{Port: servicePort}
		release.Replicas = 2
		l.releases[key] = release
	}
	return release
}

// open returns a platform as a process that has just started sees it.
func (l *lab) open(t testing.TB, deployment string) *Platform {
	t.Helper()
	return l.openWith(t, l.options(deployment))
}

func (l *lab) options(deployment string) Options {
	return Options{
		Connection: l.connection,
		Name:       deployment,
		Frontend:   agent.Frontend{DrainTimeout: time.Second},
		Agent:      Agent{Name: l.name, Image: l.base},
	}
}

func (l *lab) openWith(t testing.TB, opts Options) *Platform {
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
func (l *lab) removeImages() {
	l.Helper()
	for {
		list, err := l.engine.ImageList(context.Background(), client.ImageListOptions{Filters: client.Filters{}.Add("label", labelLab+"="+l.name)})
		l.must(err)
		if len(list.Items) == 0 {
			return
		}
		var refusals []error
		for _, image := range list.Items {
			_, err := l.engine.ImageRemove(context.Background(), image.ID, client.ImageRemoveOptions{Force: true, PruneChildren: true})
			if err != nil && !errdefs.IsNotFound(err) {
				refusals = append(refusals, err)
			}
		}
		if len(refusals) == len(list.Items) {
			l.Fatalf("removing the test's images: %v", errors.Join(refusals...))
		}
	}
}

// nothingLeft fails the test if anything carries the labels of its agent, and removes it.
func (l *lab) nothingLeft() {
	ctx := context.Background()
	ours := client.Filters{}.Add("label", labelAgent+"="+l.name)
	containers, err := l.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: ours})
	l.must(err)
	for _, c := range containers.Items {
		l.Errorf("container %s (%s) is left", c.Names, c.Status)
		_, _ = l.engine.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	}
	networks, err := l.engine.NetworkList(ctx, client.NetworkListOptions{Filters: ours})
	l.must(err)
	for _, n := range networks.Items {
		l.Errorf("network %s is left", n.Name)
		_, _ = l.engine.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
	}
	volumes, err := l.engine.VolumeList(ctx, client.VolumeListOptions{Filters: ours})
	l.must(err)
	for _, v := range volumes.Items {
		l.Errorf("volume %s is left", v.Name)
		_, _ = l.engine.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{Force: true})
	}
	images, err := l.engine.ImageList(ctx, client.ImageListOptions{Filters: ours})
	l.must(err)
	for _, i := range images.Items {
		l.Errorf("image %s is left", i.RepoTags)
		_, _ = l.engine.ImageRemove(ctx, i.ID, client.ImageRemoveOptions{Force: true})
	}
}
