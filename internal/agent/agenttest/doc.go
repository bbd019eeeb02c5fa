// SPDX-License-Identifier: MPL-2.0

//go:build unix

// Package agenttest helps tests that run a real agent with real replicas. The
// test binary is both: it runs itself again as one or the other.
//
// What a helper starts ends with the test, and the test fails if a process is left.
package agenttest
