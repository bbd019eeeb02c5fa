// SPDX-License-Identifier: MPL-2.0

//go:build unix

// Package agenttest helps tests that run a real agent with real replicas. The
// test binary is both: it runs itself again as one or the other.
package agenttest
