// SPDX-License-Identifier: MPL-2.0

// Package platformtest is the conformance suite of bluegreen.Platform. It tests each
// method against its contract, runs the scenarios of the engine, and runs operations
// with a fault at each of their calls.
//
// It also has the platform in memory on which the engine itself is tested.
package platformtest
