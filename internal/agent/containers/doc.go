// SPDX-License-Identifier: MPL-2.0

// Package containers asks the Docker engine of the agent's host about the containers of
// external replicas, and has it restart them. It knows no ledger.
//
// The engine is reached through its socket, which is mounted into the agent's container
// only if a deployment asks for it. Nothing is asked or changed of a container that does
// not carry the labels of the replica.
package containers
