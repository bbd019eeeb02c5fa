// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	agentclient "github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
)

// The agent has access to the engine only if a deployment asks for it: then the engine's
// socket is mounted into the agent's container. All deployments of a host share the agent.
// So it has the socket as long as one of them asks for it, and uses it only for those that
// do.

// containerSocket is where the agent's container has the engine's socket.
const containerSocket = "/run/docker.sock"

// SocketError reports that the agent cannot use the engine's socket.
type SocketError struct {
	// Path is the path of the socket on the Docker host.
	Path string
	Err  error
}

func (e *SocketError) Error() string {
	return fmt.Sprintf("the agent cannot use the engine's socket %s of the Docker host: %v. "+
		"Connect to the engine through the socket that it has on its host, or set watch_engine = false", e.Path, e.Err)
}

func (e *SocketError) Unwrap() error { return e.Err }

// socketPath returns the path of the engine's socket on its host. An engine that is reached
// over the network has it at the default path.
func (e *engine) socketPath() string {
	for _, address := range []string{e.address, client.DefaultDockerHost} {
		if path, isUnix := strings.CutPrefix(address, "unix://"); isUnix {
			return path
		}
	}
	return "/var/run/docker.sock"
}

// mountedSocket returns the path on the host of the socket that the agent's container has,
// "" for none.
func mountedSocket(c container.InspectResponse) string {
	if c.HostConfig == nil {
		return ""
	}
	for _, m := range c.HostConfig.Mounts {
		if m.Target == containerSocket {
			return m.Source
		}
	}
	return ""
}

// addSocket gives the agent's container the engine's socket.
func (m *agentManager) addSocket(options *client.ContainerCreateOptions) {
	options.Config.Env = append(options.Config.Env,
		agentclient.EngineSocketVariable+"="+containerSocket, agentclient.AgentNameVariable+"="+m.Name)
	options.HostConfig.Mounts = append(options.HostConfig.Mounts,
		mount.Mount{Type: mount.TypeBind, Source: m.socket, Target: containerSocket})
	// SELinux lets no confined container use the socket.
	options.HostConfig.SecurityOpt = append(options.HostConfig.SecurityOpt, "label=disable")
}

// explainMount returns a SocketError if err is about the mount of the engine's socket.
func (m *agentManager) explainMount(err error) error {
	if m.socket != "" && strings.Contains(err.Error(), m.socket) {
		return &SocketError{m.socket, err}
	}
	return err
}

// chooseSocket sets the socket that the agent's container is to have, and reports whether
// the container exists and has another one.
func (m *agentManager) chooseSocket(ctx context.Context) (isOther bool, err error) {
	mounted, exists, err := m.inspectSocket(ctx)
	if err != nil {
		return false, err
	}
	m.socket = mounted
	switch {
	case m.upkeep == nil, mounted != "" && m.upkeep.WatchesEngine:
		return false, nil
	case m.upkeep.WatchesEngine:
		m.socket = m.hostSocket
		return exists, nil
	case exists && mounted == "":
		return false, nil
	}
	// This starts the agent if it does not run.
	isUsed, err := m.isSocketUsedByOthers(ctx)
	if err != nil {
		return false, err
	}
	if mounted, _, err = m.inspectSocket(ctx); err != nil {
		return false, err
	}
	switch {
	case !isUsed:
		m.socket = ""
	case mounted == "":
		m.socket = m.hostSocket
	}
	return mounted != m.socket, nil
}

func (m *agentManager) inspectSocket(ctx context.Context) (mounted string, exists bool, err error) {
	found, err := m.engine.ContainerInspect(ctx, m.Name, client.ContainerInspectOptions{})
	if errdefs.IsNotFound(err) {
		return "", false, nil
	}
	return mountedSocket(found.Container), err == nil, err
}

// isSocketUsedByOthers reports whether another deployment asks for the engine, or may be
// about to do so.
func (m *agentManager) isSocketUsedByOthers(ctx context.Context) (bool, error) {
	use, err := m.engineUse(ctx)
	if errors.Is(err, agentclient.ErrUnknownRequest) {
		return false, nil
	}
	isOther := func(name string) bool { return name != m.deployment }
	// A deployment that has asked itself until now takes its wish back. It does not leave the
	// socket where it is because somebody else is at work.
	hasAsked := slices.Contains(use.Watching, m.deployment)
	return slices.ContainsFunc(use.Watching, isOther) || !hasAsked && slices.ContainsFunc(use.Locked, isOther), err
}

func (m *agentManager) engineUse(ctx context.Context) (use agentclient.EngineUse, err error) {
	err = m.withAgent(ctx, func() (err error) {
		use, err = m.client.EngineUse(ctx)
		return err
	})
	return use, err
}

// requireEngine returns an error if the deployment asks for the engine, and the agent
// cannot use it.
func (m *agentManager) requireEngine(ctx context.Context) error {
	if m.upkeep == nil || !m.upkeep.WatchesEngine {
		return nil
	}
	use, err := m.engineUse(ctx)
	switch {
	case errors.Is(err, agentclient.ErrUnknownRequest):
		return &SocketError{m.socket, fmt.Errorf("the agent, container %s, is older than this provider, and so is "+
			"agent_image, %s: set it to an image with this version of the provider", m.Name, m.Image)}
	case err == nil && use.Problem != "":
		return &SocketError{m.socket, errors.New(use.Problem)}
	default:
		return err
	}
}
