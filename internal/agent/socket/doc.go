// SPDX-License-Identifier: MPL-2.0

// Package socket opens the TCP listeners that clients connect to, and keeps those
// that another agent has handed over.
//
// Listen binds exactly the address that it is given. An *AddressError names the
// address that cannot be bound, and why. Nothing here accepts connections.
package socket
