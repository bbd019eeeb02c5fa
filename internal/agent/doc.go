// SPDX-License-Identifier: MPL-2.0

// Package agent is the daemon that serves deployments on one machine: it keeps
// their ledgers in a state directory, supervises their replicas, and carries
// their traffic.
//
// One agent serves one state directory. It is reached over a Unix socket in that
// directory, by internal/agent/client.
//
// # What outlives the agent
//
// Replicas do. An agent that ends, by SIGTERM or by kill -9, leaves them
// running, and the next one adopts them: the same processes serve the same
// environment. Only the traffic, which runs through the agent, stops in between.
// After SIGTERM the next agent can serve at once, while what is in flight finishes in the
// former one. A replica that writes output while no agent runs is held up once the pipe is full
// (64 KiB on Linux).
//
// An agent can also take over from one that serves, without an interruption; see handover.go.
//
// # Order of writes
//
// What the agent is about to do is on disk before it does it: the ledger before
// the route changes, the workload before its replicas start or stop. A new agent
// therefore only has to do what the files say.
//
// The key of the fingerprints in the ledger comes with a commit and goes back with the
// ledger. It has a file of its own, because whoever reads the ledger must not have it.
//
// # Between two applies
//
// The agent probes the replicas with the health check that came with a commit, and
// takes unhealthy ones out of the traffic; see the packages upkeep and frontend. The
// health check belongs to the release that the commit was for, by its fingerprint: the
// release before it keeps its own. A commit without a health check leaves it as it is:
// the sender may be of an earlier version, or may not know the configuration. The
// unhealthy replicas are stored, so that the next agent sends them no requests either. It
// probes the others at once and believes the first failure.
//
// The agent never changes which environment is live.
package agent
