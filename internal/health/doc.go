// SPDX-License-Identifier: MPL-2.0

// Package health checks whether an instance works: over HTTP, TCP, the gRPC
// health protocol, or with a command that runs where the instance does.
//
// A [Checker] probes an instance through [bluegreen.Target] alone, so that a
// process on this machine, a container and a pod are checked by the same code.
//
// # What a caller can rely on
//
// A verdict has one entry for each check that is configured. Its cause is one
// line that can be shown to a person and holds no secret of the configuration:
// no header value, no query, no argument of a command.
//
// No probe outlives the call that started it, and each has a connection of its
// own, which it closes.
package health
