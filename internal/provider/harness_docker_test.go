// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/docker"
)

// servicePort is where the test's service listens in a container.
const servicePort = 8000

// engine is the Docker engine, and what all tests use together on it.
var engine struct {
	*client.Client
	// run is part of every name that the tests make up.
	run string
	// replica has the test's service, agent the provider.
	replica, agent func() (image string, err error)
	// checked is the replica with a HEALTHCHECK.
	checked func() (image string, err error)
}

func findDocker() (err error) {
	if engine.Client, err = client.New(client.FromEnv); err != nil {
		return err
	}
	engine.run = "bgacc-" + strings.ToLower(rand.Text()[:6])
	engine.replica = sync.OnceValues(
		func() (string, error) { return engineImage("replica", "/replica", replicaProgram) },
	)
	engine.checked = sync.OnceValues(func() (string, error) {
		return engineImage(
			"checked",
			"/replica",
			replicaProgram,
			`HEALTHCHECK --interval=200ms --retries=1 CMD ["/replica", "check"]`,
		)
	})
	engine.agent = sync.OnceValues(
		func() (string, error) { return engineImage("agent", docker.AgentProgram, providerProgram) },
	)
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	_, err = engine.Ping(ctx, client.PingOptions{})
	return err
}

// engineImage makes an image with nothing but a program, and with instructions of a
// Dockerfile.
func engineImage(tag, path string, build func() (string, error), instructions ...string) (image string, err error) {
	program, err := build()
	if err != nil {
		return "", err
	}
	content, err := os.ReadFile(program)
	if err != nil {
		return "", err
	}
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	header := &tar.Header{Name: strings.TrimPrefix(path, "/"), Mode: 0o755, Size: int64(len(content))}
	if err := errors.Join(writer.WriteHeader(header), writeAll(writer, content), writer.Close()); err != nil {
		return "", err
	}
	image = engine.run + ":" + tag
	changes := append(instructions, fmt.Sprintf("ENTRYPOINT [%q]", path), "LABEL bluegreen.test.run="+engine.run)
	response, err := engine.ImageImport(
		context.Background(),
		client.ImageImportSource{Source: &archive, SourceName: "-"},
		image,
		client.ImageImportOptions{Changes: changes},
	)
	if err != nil {
		return "", err
	}
	defer response.Close()
	_, err = io.Copy(io.Discard, response)
	return image, err
}

func writeAll(h io.Writer, content []byte) error {
	_, err := h.Write(content)
	return err
}

// closeDocker removes the images.
func closeDocker() error {
	defer engine.Close()
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	images, err := engine.ImageList(
		ctx,
		client.ImageListOptions{Filters: client.Filters{}.Add("label", "bluegreen.test.run="+engine.run)},
	)
	if err != nil {
		return err
	}
	var failures []error
	for _, image := range images.Items {
		_, err := engine.ImageRemove(ctx, image.ID, client.ImageRemoveOptions{Force: true, PruneChildren: true})
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

// dockerTestPlatform is a Docker host with an agent of its own.
type dockerTestPlatform struct {
	replica, agent string
	// agentImage is "" for one that the provider builds from itself.
	agentImage string
}

var _ platformUnderTest = (*dockerTestPlatform)(nil)

func claimDocker(t *testing.T) (name string, p *dockerTestPlatform) {
	t.Helper()
	replica, err := engine.replica()
	if err != nil {
		t.Fatal(err)
	}
	agent, err := engine.agent()
	if err != nil {
		t.Fatal(err)
	}
	own := strings.ToLower(rand.Text()[:6])
	p = &dockerTestPlatform{replica: replica, agent: engine.run + "-" + own, agentImage: agent}
	t.Cleanup(func() {
		found, err := p.leftovers(context.Background())
		if err != nil || len(found) > 0 {
			t.Errorf("left are %v: %v", found, err)
		}
	})
	// The containers of all deployments of an engine have their names in common.
	return "web-" + own, p
}

func (p *dockerTestPlatform) providerBlock() string {
	return fmt.Sprintf("docker = { agent_name = %q }", p.agent)
}

func (p *dockerTestPlatform) settings() attributes {
	agent := ""
	if p.agentImage != "" {
		agent = fmt.Sprintf(", agent_image = %q", p.agentImage)
	}
	return attributes{"docker": fmt.Sprintf("{ port = %d, pull = \"never\"%s }", servicePort, agent)}
}

func (p *dockerTestPlatform) dataBlock() string { return "docker = {}" }

func (p *dockerTestPlatform) image() string { return p.replica }

func (p *dockerTestPlatform) id(name string) string { return "docker://" + name }

func (p *dockerTestPlatform) open(name string) (openPlatform, error) {
	return docker.New(docker.Options{Name: name, Agent: docker.Agent{Name: p.agent, Image: p.agentImage}})
}

func (p *dockerTestPlatform) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func (p *dockerTestPlatform) switchDelay() time.Duration { return 0 }

func (p *dockerTestPlatform) expireLock(context.Context, string) error { return nil }

// leftovers lists the things that have the label of the agent.
func (p *dockerTestPlatform) leftovers(ctx context.Context) (found []string, err error) {
	ours := client.Filters{}.Add("label", docker.LabelPrefix+"agent="+p.agent)
	containers, err := engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: ours})
	if err != nil {
		return nil, err
	}
	for _, c := range containers.Items {
		found = append(found, fmt.Sprintf("container %s (%s)", c.Names, c.Status))
	}
	networks, err := engine.NetworkList(ctx, client.NetworkListOptions{Filters: ours})
	if err != nil {
		return nil, err
	}
	for _, n := range networks.Items {
		found = append(found, "network "+n.Name)
	}
	volumes, err := engine.VolumeList(ctx, client.VolumeListOptions{Filters: ours})
	if err != nil {
		return nil, err
	}
	for _, v := range volumes.Items {
		found = append(found, "volume "+v.Name)
	}
	images, err := engine.ImageList(ctx, client.ImageListOptions{Filters: ours})
	for _, i := range images.Items {
		found = append(found, fmt.Sprintf("image %s", i.RepoTags))
	}
	return found, err
}
