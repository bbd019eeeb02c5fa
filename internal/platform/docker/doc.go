// SPDX-License-Identifier: MPL-2.0

// Package docker runs deployments as containers on a Docker host, which may be
// this machine or any other that the docker command can reach.
//
// # What there is on the host
//
//   - One agent per host, a container with the host's network, built from this
//     very program. It keeps the ledgers in a volume and carries the traffic; see
//     internal/agent. It is spoken to over the stdin and stdout of an exec in its
//     container, so that whoever reaches the Docker API needs no other way in.
//   - For each deployment a bridge network, and on it the replicas, NAME-blue-1
//     and so on. They publish no ports: the agent reaches them at their addresses.
//
// Everything carries labels of ours, and what does not is never touched. The last
// deployment that goes takes the agent with it: container, volume and image.
//
// # Restarts
//
// Replicas have fixed addresses, and the agent knows them by the IDs of their
// containers. Both are the same after a container, the agent, the engine or the
// host was restarted, so that all of them find each other again without anybody's
// help. A container that was made anew has another ID, and gets no traffic until it
// has passed a health check.
//
// The incarnation of a replica is its container's ID and when it was started: one
// that passed the health check of a release and was started again since has not
// passed, and nothing is switched to it.
//
// # Reading
//
// Reading starts nothing. Where the agent does not run its ledger is read from
// the volume, and nothing is ready, because nothing has traffic.
package docker
