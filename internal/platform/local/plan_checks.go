// SPDX-License-Identifier: MPL-2.0

package local

import (
	"context"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
)

// CheckPorts returns an error unless ports is a range for Options.Ports. It reports whether the
// system gives some of them to outgoing connections.
func CheckPorts(ports string) (isEphemeral bool, err error) { return client.CheckPorts(ports) }

// CheckImage returns an *ImageError if a plan can tell that the image cannot be deployed.
func CheckImage(ctx context.Context, image Image) error { return client.CheckImage(ctx, image) }

// ImageDigest returns the digest that the image would be pinned to.
func ImageDigest(ctx context.Context, image Image) (string, error) {
	return client.ImageDigest(ctx, image)
}

// CheckUser returns a *SettingError if there is no such user or group on this machine.
func CheckUser(name, group string) error { return client.CheckUser(name, group) }

// CheckSignal returns an error unless name is that of a signal that asks a process to end.
func CheckSignal(name string) error { return client.CheckSignal(name) }

// CheckAddress returns an error unless address is host:port.
func CheckAddress(address string) error { return client.CheckAddress(address) }

// Endpoint returns the URL at which clients find a deployment that listens on listen, "" if only the
// agent decides the port.
func Endpoint(listen string, p protocol.Protocol) string { return client.Endpoint(listen, p) }

// CheckListen returns an *AddressError if a plan can tell that the deployment called name
// cannot listen on listen.
func CheckListen(stateDir, name, listen string) error {
	dir, err := StateDir(stateDir)
	if err != nil {
		return err
	}
	return client.CheckListen(dir, name, listen)
}

// DeploymentNames returns the names of the deployments of a state directory, sorted. It needs no
// agent. A stateDir of "" is the default.
func DeploymentNames(stateDir string) ([]string, error) {
	dir, err := StateDir(stateDir)
	if err != nil {
		return nil, err
	}
	files, err := client.NewOffline(dir)
	if err != nil {
		return nil, err
	}
	return files.DeploymentNames()
}
