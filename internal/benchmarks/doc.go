// SPDX-License-Identifier: MPL-2.0

// Package benchmarks measures whole runs of Terraform with the real provider, as a user at
// a terminal sees them: a plan of many deployments, and an apply that rolls back. `make
// bench` runs the benchmarks.
//
// Terraform itself needs most of the time of such a run. So each benchmark measures two
// other providers in the same loop: floor, which has a small resource and does nothing, and
// mute, which has the schema of the real provider and does nothing. What the real provider
// needs more than mute is the time of its own code.
//
// The program benchrouter compares the router with other proxies; `make bench-router` runs it.
package benchmarks
