// SPDX-License-Identifier: MPL-2.0

// Package local runs deployments as processes on this machine. It is a thin client of the
// agent. The agent stores the ledger, supervises the processes and carries their traffic;
// see internal/agent.
//
// Reading a deployment never starts an agent. If no agent runs, the ledger is read from its
// file, no replica counts as running, and Instances returns an error. Lock starts an agent, so every operation that
// changes a deployment finds one running.
package local
