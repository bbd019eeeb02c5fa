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
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	agentclient "github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// readDeployment asks the agent about a deployment. It reads the agent's volume if no
// agent runs, or if the agent is older than this program. It also reports whether an
// agent serves.
func readDeployment[T any](
	ctx context.Context, p *Platform,
	ask func(context.Context, string) (T, error), open func(*agentclient.Offline, string) (T, error),
) (result T, serves bool, err error) {
	result, err = ask(ctx, p.name)
	if agentclient.IsUnavailable(err) && !errors.Is(err, agentclient.ErrNotRunning) {
		// The agent ended during the call, because another process removes or replaces it.
		result, err = ask(ctx, p.name)
	}
	serves = !errors.Is(err, agentclient.ErrNotRunning)
	if !serves || isOlderAgent(err) {
		result, err = readVolume(ctx, p.manager, p.name, open)
	}
	return result, serves, p.manager.explainVersion(err)
}

// readVolume reads what an agent that does not run has stored of a deployment.
func readVolume[T any](
	ctx context.Context, m *agentManager, name string, read func(*agentclient.Offline, string) (T, error),
) (result T, err error) {
	dir, err := os.MkdirTemp("", "bluegreen-")
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := m.copyDeployment(ctx, name, filepath.Join(dir, "deployments")); err != nil {
		return result, err
	}
	files, err := agentclient.NewOffline(dir)
	if err != nil {
		return result, err
	}
	return read(files, name)
}

// copyDeployment copies the files of a deployment from the agent's volume to a
// directory. It returns bluegreen.ErrNotFound if there are none.
func (m *agentManager) copyDeployment(ctx context.Context, name, to string) error {
	from := client.CopyFromContainerOptions{SourcePath: path.Join(statePath, "deployments", name)}
	copied, err := m.engine.CopyFromContainer(ctx, m.Name, from)
	if err != nil && !errdefs.IsNotFound(err) && m.awaitGone(ctx) {
		// The engine fails in various ways while it removes the container.
		err = errdefs.ErrNotFound
	}
	if errdefs.IsNotFound(err) {
		if err := m.recreateContainer(ctx); err != nil {
			return err
		}
		copied, err = m.engine.CopyFromContainer(ctx, m.Name, from)
	}
	if errdefs.IsNotFound(err) {
		return bluegreen.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("reading the volume of the agent, which does not run: %w", err)
	}
	defer copied.Content.Close()
	return unpackArchive(copied.Content, to)
}

// awaitGone reports whether the agent's container is gone. One that is being removed is waited for.
func (m *agentManager) awaitGone(ctx context.Context) bool {
	found, err := m.engine.ContainerInspect(ctx, m.Name, client.ContainerInspectOptions{})
	if err != nil {
		return errdefs.IsNotFound(err)
	}
	if state := found.Container.State; state == nil || state.Status != container.StateRemoving {
		return false
	}
	err = <-m.awaitContainer(ctx, found.Container.ID, container.WaitConditionRemoved)
	return err == nil || errdefs.IsNotFound(err)
}

// recreateContainer creates the agent's container again if it was removed, and
// does not start it. The engine gives access to a volume only through a container. The
// error is bluegreen.ErrNotFound if there is no volume either.
func (m *agentManager) recreateContainer(ctx context.Context) error {
	_, err := m.engine.VolumeInspect(ctx, m.Name, client.VolumeInspectOptions{})
	if errdefs.IsNotFound(err) {
		return bluegreen.ErrNotFound
	}
	if err != nil {
		return err
	}
	if err := m.ensureContainer(ctx); err != nil && !errdefs.IsConflict(err) {
		return fmt.Errorf("the agent's container was removed, and cannot be created again to read its volume: %w", err)
	}
	return nil
}

// maxUnpacked limits the size of a deployment's files, in bytes.
const maxUnpacked = 64 << 20

// unpackArchive writes the files of an archive below dir. It writes nothing elsewhere.
func unpackArchive(archive io.Reader, dir string) error {
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
			err = unpackEntry(root, header, reader)
		}
		if err != nil {
			return fmt.Errorf("reading the agent's files: %w", err)
		}
	}
}

func unpackEntry(root *os.Root, header *tar.Header, content io.Reader) error {
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(filepath.FromSlash(path.Clean(header.Name)), 0o700)
	case tar.TypeReg:
		name := filepath.FromSlash(path.Clean(header.Name))
		file, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, content)
		return errors.Join(err, file.Close())
	default:
		return nil
	}
}
