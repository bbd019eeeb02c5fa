// SPDX-License-Identifier: MPL-2.0

// Package docker runs deployments as containers on a Docker host. The host may be this
// machine or any other that the docker command can reach.
//
// # Objects on the host
//
//   - Each host has one agent. It is a container with the host's network, and its image
//     is built from the running program. It stores the ledgers in a volume and carries the
//     traffic; see internal/agent. The provider talks to it over the stdin and stdout of
//     an exec in its container, so that access to the Docker API is enough.
//   - Each deployment has a bridge network with its replicas, NAME-blue-1 and so on. The
//     replicas publish no ports. The agent reaches them at their addresses.
//
// All these objects carry the provider's labels. Objects without the labels are never
// changed. When the last deployment of a host is destroyed, the agent's container, volume
// and image are removed.
//
// # Restarts
//
// Replicas have fixed addresses, and the agent identifies them by the IDs of their
// containers. Both stay the same when a container, the agent, the engine or the host is
// restarted, so that the agent finds the replicas again. A container that was created
// again has another ID, and receives no traffic until it has passed a health check.
//
// The incarnation of a replica is the ID of its container and the time of its start. A
// replica that passed a health check and was restarted afterwards counts as not checked,
// and traffic is not switched to it.
//
// # Reading
//
// Reading a deployment starts nothing. If the agent does not run, the ledger is read from
// the volume. No replica is ready then, because none receives traffic.
package docker
