// SPDX-License-Identifier: MPL-2.0

// Package protocol names the protocols that a deployment can speak with its clients.
// The names are part of the configuration and of stored files.
package protocol

// Protocol is what a deployment speaks with its clients.
type Protocol string

const (
	// HTTP is HTTP/1.1, h2c and what upgrades from HTTP/1.1, such as WebSocket.
	HTTP Protocol = "http"
	// TCP proxies raw connections.
	TCP Protocol = "tcp"
)
