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

// machines maps the engine's name of a CPU to its number in an ELF file.
var machines = map[string]elf.Machine{
	"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "386": elf.EM_386, "arm": elf.EM_ARM,
	"ppc64le": elf.EM_PPC64, "s390x": elf.EM_S390, "riscv64": elf.EM_RISCV,
}

// agentImage returns an image with the agent. If no image is configured, it builds one
// from this program, unless the host has that image already.
func (m *agentManager) agentImage(ctx context.Context) (image string, err error) {
	err = m.imageMutex.withLock(ctx, func() error {
		image, err = m.findOrBuildImage(ctx)
		return err
	})
	return image, err
}

func (m *agentManager) findOrBuildImage(ctx context.Context) (string, error) {
	if m.Image != "" {
		if _, err := m.engine.ImageInspect(ctx, m.Image); err == nil || !errdefs.IsNotFound(err) {
			return m.Image, err
		}
		if err := m.images.pull(ctx, m.Image); err != nil {
			return "", &ImageError{m.Image, err}
		}
		return m.Image, nil
	}
	path, err := m.program()
	if err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	digest, err := fileDigest(path)
	if err != nil {
		return "", fmt.Errorf("reading this program: %w", err)
	}
	name := m.Name + ":" + digest[:12]
	present, err := m.engine.ImageInspect(ctx, name)
	if err == nil && present.Config != nil && present.Config.Labels[labelProgram] == digest {
		return present.ID, nil
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return "", err
	}
	return name, m.buildImage(ctx, path, name, digest)
}

// buildImage creates an image that holds nothing but the program at path.
func (m *agentManager) buildImage(ctx context.Context, path, name, digest string) error {
	version, err := m.engine.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return err
	}
	if err := checkProgram(path, version.Os, version.Arch); err != nil {
		return fmt.Errorf("this program cannot be the agent on a host with %s/%s: %w; "+
			"set agent_image to an image that has the provider for that host at %s",
			version.Os, version.Arch, err, AgentProgram)
	}
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(packProgram(writer, path)) }()
	defer reader.Close()
	source := client.ImageImportSource{Source: reader, SourceName: "-"}
	response, err := m.engine.ImageImport(ctx, source, name, client.ImageImportOptions{
		Changes: []string{
			fmt.Sprintf("ENTRYPOINT [%q]", AgentProgram),
			fmt.Sprintf("LABEL %s=%q %s=%q", labelAgent, m.Name, labelProgram, digest),
		},
	})
	if err != nil {
		return fmt.Errorf("creating the agent's image: %w", err)
	}
	defer response.Close()
	if err := awaitProgress(response); err != nil {
		return fmt.Errorf("creating the agent's image: %w", err)
	}
	return nil
}

// awaitProgress reads the engine's progress messages to their end. It returns the error
// that one of them carries.
func awaitProgress(progress io.Reader) error {
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

// checkProgram returns an error unless the file at path is a program that runs in an
// otherwise empty container on the given system and CPU.
func checkProgram(path, system, cpu string) error {
	if system != "linux" {
		return errors.New("the agent needs Linux containers")
	}
	file, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("it is not a Linux program: %w", err)
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

// packProgram writes an archive with the program at path as the only file.
func packProgram(w io.Writer, path string) error {
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
	header := &tar.Header{
		Name: strings.TrimPrefix(AgentProgram, "/"), Mode: 0o755, Size: info.Size(), ModTime: info.ModTime(),
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	if _, err := io.Copy(archive, file); err != nil {
		return err
	}
	return archive.Close()
}

// fileDigest returns the SHA-256 of a file in hexadecimal.
func fileDigest(path string) (string, error) {
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
