// SPDX-License-Identifier: MPL-2.0

package client

import (
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/images"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/socket"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// What platforms need of the packages below, described there.
type (
	// Frontend is where and how clients reach a deployment.
	Frontend = store.Frontend
	// AccessLog is a place where requests are logged.
	AccessLog = store.AccessLog
	// ExternalReplica is a replica that runs outside of the agent.
	ExternalReplica = store.ExternalReplica
	// AddressError is an address that a deployment cannot listen on.
	AddressError = socket.AddressError
	// ImageError is an image that cannot be deployed.
	ImageError = images.Error
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
)

// LingerForever is the value of -linger for an agent that does not end by itself.
const LingerForever = api.LingerForever

// CheckSupported returns nil if the agent can work on this system.
func CheckSupported() error { return durable.CheckSupported() }

// ValidateName returns an error unless name is a DNS label of at most 63 characters.
func ValidateName(name string) error { return store.ValidateName(name) }

// DefaultStateDir is $XDG_STATE_HOME/bluegreen, or ~/.local/state/bluegreen.
func DefaultStateDir() (string, error) { return store.DefaultDir() }

// CheckImage returns an *ImageError unless path can be deployed with command.
func CheckImage(path string, command []string) error { return images.Check(path, command) }

// CanReceiveTraffic reports whether a replica gets traffic when those in passed
// have passed their health check.
func CanReceiveTraffic(passed []bluegreen.InstanceRef, replica bluegreen.InstanceRef) bool {
	return store.CanReceiveTraffic(passed, replica)
}
