// SPDX-License-Identifier: MPL-2.0

package client

import (
	"context"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/images"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/socket"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
)

// What platforms need of the packages below, described there.
type (
	// Frontend is where and how clients reach a deployment.
	Frontend = store.Frontend
	// KeptSettings are the settings that a deployment keeps.
	KeptSettings = store.KeptSettings
	// KeptUpkeep says how the replicas of one release are looked after.
	KeptUpkeep = store.Upkeep
	// AccessLog is a place where requests are logged.
	AccessLog = store.AccessLog
	// ExternalReplica is a replica that runs outside of the agent.
	ExternalReplica = store.ExternalReplica
	// AddressError is an address that a deployment cannot listen on.
	AddressError = socket.AddressError
	// Image says which image is copied, and how.
	Image = images.Image
	// ImageError is an image that cannot be deployed.
	ImageError = images.Error
	// Settings say how the replicas of a release run.
	Settings = process.Settings
	// SettingError is a setting that has no effect where the agent runs.
	SettingError = process.SettingError
	// UnreadableError is a file that is damaged, or newer than this program.
	UnreadableError = durable.UnreadableError
	// VersionError is an agent of another version than this program.
	VersionError = api.VersionError
)

var (
	// ErrNotRunning means that no agent serves the state directory.
	ErrNotRunning = api.ErrNotRunning
	// ErrLockLost means that a change was refused because its lock is no longer held.
	ErrLockLost = api.ErrLockLost
)

// Where requests are logged; see the store's.
const (
	AccessLogFile   = store.AccessLogFile
	AccessLogStdout = store.AccessLogStdout
)

// What an agent in a container is told by variables.
const (
	EngineSocketVariable = api.EngineSocketVariable
	AgentNameVariable    = api.AgentNameVariable
	LeaveWithinVariable  = api.LeaveWithinVariable
)

// LingerForever is the value of -linger for an agent that does not end by itself.
const LingerForever = api.LingerForever

// CheckPorts returns an error unless ports is a range for the ports of replicas. It reports
// whether the system gives some of them to outgoing connections.
func CheckPorts(ports string) (isEphemeral bool, err error) {
	parsed, err := process.ParsePortRange(ports)
	if err != nil {
		return false, err
	}
	ephemeral := process.EphemeralPorts()
	return ephemeral != (process.PortRange{}) && parsed.Overlaps(ephemeral), nil
}

// CheckSupported returns nil if the agent can work on this system.
func CheckSupported() error { return durable.CheckSupported() }

// ValidateName returns an error unless name is a DNS label of at most 63 characters.
func ValidateName(name string) error { return store.ValidateName(name) }

// DefaultStateDir is $XDG_STATE_HOME/bluegreen, or ~/.local/state/bluegreen.
func DefaultStateDir() (string, error) { return store.DefaultDir() }

// CheckAddress returns an error unless address is host:port.
func CheckAddress(address string) error { return socket.CheckAddress(address) }

// Endpoint returns the URL at which clients find a deployment that listens on listen, "" if only the
// agent decides the port.
func Endpoint(listen string, p protocol.Protocol) string {
	if store.HasOpenPort(listen) {
		return ""
	}
	return store.Binding{Frontend: Frontend{Protocol: p}, Addresses: []string{listen}}.Endpoint()
}

// CheckImage returns an *ImageError unless the image can be deployed.
func CheckImage(ctx context.Context, image Image) error { return images.Check(ctx, image) }

// ImageDigest returns the digest that the agent's copy of the image would have.
func ImageDigest(ctx context.Context, image Image) (string, error) { return images.Digest(ctx, image) }

// CheckUser returns a *SettingError unless this machine has the user and the group.
func CheckUser(name, group string) error {
	_, err := process.LookUpUser(name, group)
	return err
}

// CheckSignal returns an error unless name is that of a signal that asks a process to end.
func CheckSignal(name string) error {
	_, err := process.ParseSignal(name)
	return err
}

// CanReceiveTraffic reports whether a replica gets traffic when those in passed
// have passed their health check.
func CanReceiveTraffic(passed []bluegreen.InstanceRef, replica bluegreen.InstanceRef) bool {
	return store.CanReceiveTraffic(passed, replica)
}
