// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// machines are the CPUs that an engine may name, as an ELF file has them.
var machines = map[string]elf.Machine{
	"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "386": elf.EM_386, "arm": elf.EM_ARM,
	"ppc64le": elf.EM_PPC64, "s390x": elf.EM_S390, "riscv64": elf.EM_RISCV,
}

// agentImage returns an image with the agent, which it builds from this very
// program where none is given and the host does not have it yet.
func (h *host) agentImage(ctx context.Context) (image string, err error) {
	err = h.imaging.take(ctx, func() error {
		image, err = h.obtainImage(ctx)
		return err
	})
	return image, err
}

func (h *host) obtainImage(ctx context.Context) (string, error) {
	if h.Image != "" {
		if _, err := h.engine.ImageInspect(ctx, h.Image); err == nil || !errdefs.IsNotFound(err) {
			return h.Image, err
		}
		if err := h.images.pull(ctx, h.Image); err != nil {
			return "", &ImageError{h.Image, err}
		}
		return h.Image, nil
	}
	path, err := h.program()
	if err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	digest, err := digestOf(path)
	if err != nil {
		return "", fmt.Errorf("reading this program: %w", err)
	}
	name := h.Name + ":" + digest[:12]
	present, err := h.engine.ImageInspect(ctx, name)
	if err == nil && present.Config != nil && present.Config.Labels[labelProgram] == digest {
		return present.ID, nil
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return "", err
	}
	return name, h.build(ctx, path, name, digest)
}

// build makes an image that holds nothing but the program at path.
func (h *host) build(ctx context.Context, path, name, digest string) error {
	version, err := h.engine.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return err
	}
	if err := runsOn(path, version.Os, version.Arch); err != nil {
		return fmt.Errorf("this program cannot be the agent on a host with %s/%s: %w; set agent_image to an image that has the provider for that host at %s",
			version.Os, version.Arch, err, AgentProgram)
	}
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(pack(writer, path)) }()
	defer reader.Close()
	response, err := h.engine.ImageImport(ctx, client.ImageImportSource{Source: reader, SourceName: "-"}, name, client.ImageImportOptions{
		Changes: []string{
			fmt.Sprintf("ENTRYPOINT [%q]", AgentProgram),
			fmt.Sprintf("LABEL %s=%q %s=%q", labelAgent, h.Name, labelProgram, digest),
		},
	})
	if err != nil {
		return fmt.Errorf("making the agent's image: %w", err)
	}
	defer response.Close()
	if err := lastError(response); err != nil {
		return fmt.Errorf("making the agent's image: %w", err)
	}
	return nil
}

// lastError reads the engine's progress to its end.
func lastError(progress io.Reader) error {
	for decoder := json.NewDecoder(progress); ; {
		var message struct{ Error string }
		switch err := decoder.Decode(&message); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case message.Error != "":
			return errors.New(message.Error)
		}
	}
}

// runsOn returns an error unless the file at path is a program that runs on a
// system with nothing else on it.
func runsOn(path, system, cpu string) error {
	if system != "linux" {
		return errors.New("the agent needs Linux containers")
	}
	file, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("it is no Linux program: %w", err)
	}
	defer file.Close()
	if machine, known := machines[cpu]; !known || file.Machine != machine {
		return fmt.Errorf("it is built for %s", strings.TrimPrefix(file.Machine.String(), "EM_"))
	}
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_INTERP {
			return errors.New("it is linked dynamically (build it with CGO_ENABLED=0)")
		}
	}
	return nil
}

// pack writes an archive with the program at path as the only file.
func pack(w io.Writer, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	archive := tar.NewWriter(w)
	header := &tar.Header{Name: strings.TrimPrefix(AgentProgram, "/"), Mode: 0o755, Size: info.Size(), ModTime: info.ModTime()}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	if _, err := io.Copy(archive, file); err != nil {
		return err
	}
	return archive.Close()
}

func digestOf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
