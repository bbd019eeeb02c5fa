// SPDX-License-Identifier: MPL-2.0

// Package upkeep decides which replicas of a deployment are healthy between two
// applies.
//
// A Keeper probes every replica that has passed its health check, again and again, and
// counts the requests that fail on it. A replica is unhealthy once as many probes, or as
// many requests, have failed in a row as its plan says, and healthy again once enough
// probes in a row have passed. A replica that has not been probed yet is healthy. If it
// has never passed since the Keeper knows it, because it was just started again or the
// agent was, its first failed probe makes it unhealthy.
//
// A check that could not be made, because what runs the replica does not answer, changes
// nothing.
//
// The Keeper changes nothing by itself: its owner asks it and routes accordingly.
package upkeep
