// SPDX-License-Identifier: MPL-2.0

// Package api is what a client and an agent of the same or another version say to
// each other: requests, replies and errors as JSON over HTTP, on a Unix socket in
// the state directory or, from another host, behind a handshake over what carries
// the connection.
//
// An error that arrives matches the same sentinels and types as the one that was sent.
// Fields and paths stay as they are while Version does; a new field is optional.
package api
