// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"archive/tar"
	"bytes"
	"path"
	"strings"
	"testing"

	"github.com/moby/moby/client"
)

// The agent does not know any more where the containers of live are, because their file is torn. An
// apply says so and routes to the same containers again, and a destroy works without.
func TestTornListOfContainersIsRepaired(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	var warnings []string
	opts := h.options(h.name)
	opts.Warn = func(message string) { warnings = append(warnings, message) }
	s := h.newServiceWith(t, opts)
	release := s.deployLive("1.0.0")
	before := h.inspect(s.platform.containerName("green-1")).Container.ID
	list := path.Join(statePath, "deployments", h.name, "green", "targets.json")
	for range 2 {
		s.must(errorOf(h.engine.ContainerStop(t.Context(), h.name, client.ContainerStopOptions{})))
		h.write(h.name, list, `{"sche`)
		s.must(errorOf(h.engine.ContainerStart(t.Context(), h.name, client.ContainerStartOptions{})))
		if got := s.running(); got != [2]int{} {
			t.Errorf("%v run", got)
		}
		s.applyAgain(release)
		if text := strings.Join(warnings, "\n"); !strings.Contains(text, list+" cannot be used") {
			t.Errorf("the apply warns of %q", text)
		}
		s.expectVersion("1.0.0")
		if after := h.inspect(s.platform.containerName("green-1")).Container.ID; after != before {
			t.Error("the container was created again")
		}
		warnings = nil
	}
	s.must(errorOf(h.engine.ContainerStop(t.Context(), h.name, client.ContainerStopOptions{})))
	h.write(h.name, list, "")
	s.must(s.Destroy(t.Context()))
}

// write replaces a file of a container that is stopped.
func (h *harness) write(container, file, content string) {
	h.Helper()
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	h.must(writer.WriteHeader(&tar.Header{Name: path.Base(file), Mode: 0o600, Size: int64(len(content))}))
	_, err := writer.Write([]byte(content))
	h.must(err)
	h.must(writer.Close())
	options := client.CopyToContainerOptions{DestinationPath: path.Dir(file), Content: &archive}
	h.must(errorOf(h.engine.CopyToContainer(h.Context(), container, options)))
}
