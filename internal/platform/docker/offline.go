// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// read asks the agent, or reads its volume where none serves or it is older than
// this program, and tells whether one serves.
func read[T any](ctx context.Context, p *Platform, ask func(context.Context, string) (T, error), open func(*agent.Offline, string) (T, error)) (result T, serves bool, err error) {
	result, err = ask(ctx, p.name)
	if agent.Startable(err) && !errors.Is(err, agent.ErrNotRunning) {
		// It ended in the middle, because somebody else removes or replaces it.
		result, err = ask(ctx, p.name)
	}
	serves = !errors.Is(err, agent.ErrNotRunning)
	if !serves || older(err) {
		result, err = offline(ctx, p.host, p.name, open)
	}
	return result, serves, p.host.versioned(err)
}

// offline reads what the agent, which does not run, has stored of a deployment.
func offline[T any](ctx context.Context, h *host, name string, read func(*agent.Offline, string) (T, error)) (result T, err error) {
	dir, err := os.MkdirTemp("", "bluegreen-")
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := h.fetch(ctx, name, filepath.Join(dir, "deployments")); err != nil {
		return result, err
	}
	files, err := agent.NewOffline(dir)
	if err != nil {
		return result, err
	}
	return read(files, name)
}

// fetch copies the files of a deployment from the agent's volume to a directory.
// It returns bluegreen.ErrNotFound where there are none.
func (h *host) fetch(ctx context.Context, name, to string) error {
	from := client.CopyFromContainerOptions{SourcePath: path.Join(statePath, "deployments", name)}
	copied, err := h.engine.CopyFromContainer(ctx, h.Name, from)
	if errdefs.IsNotFound(err) {
		if err := h.recover(ctx); err != nil {
			return err
		}
		copied, err = h.engine.CopyFromContainer(ctx, h.Name, from)
	}
	if errdefs.IsNotFound(err) {
		return bluegreen.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("reading the volume of the agent, which does not run: %w", err)
	}
	defer copied.Content.Close()
	return unpack(copied.Content, to)
}

// recover makes the agent's container again if somebody removed it. It is not
// started: the engine shows what is in a volume only by a container. Where there
// is no volume either, the error is bluegreen.ErrNotFound.
func (h *host) recover(ctx context.Context) error {
	_, err := h.engine.VolumeInspect(ctx, h.Name, client.VolumeInspectOptions{})
	if errdefs.IsNotFound(err) {
		return bluegreen.ErrNotFound
	}
	if err != nil {
		return err
	}
	if err := h.create(ctx); err != nil && !errdefs.IsConflict(err) {
		return fmt.Errorf("the agent's container was removed, and cannot be made again to read its volume: %w", err)
	}
	return nil
}

// maxUnpacked bounds what is read of a deployment.
const maxUnpacked = 64 << 20

// unpack writes the files in an archive below dir, and nothing elsewhere.
func unpack(archive io.Reader, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for reader := tar.NewReader(io.LimitReader(archive, maxUnpacked)); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = unpackOne(root, header, reader)
		}
		if err != nil {
			return fmt.Errorf("reading the agent's files: %w", err)
		}
	}
}

func unpackOne(root *os.Root, header *tar.Header, content io.Reader) error {
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(filepath.FromSlash(path.Clean(header.Name)), 0o700)
	case tar.TypeReg:
		file, err := root.OpenFile(filepath.FromSlash(path.Clean(header.Name)), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, content)
		return errors.Join(err, file.Close())
	default:
		return nil
	}
}
