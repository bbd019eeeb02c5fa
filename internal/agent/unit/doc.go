// SPDX-License-Identifier: MPL-2.0

// Package unit has the systemd unit of the agent. The packages for Linux distributions contain
// the same file.
//
// A unit that Install has written carries a checksum, so that Install can tell whether somebody
// has edited it since.
package unit
