// SPDX-License-Identifier: MPL-2.0

// Package frontend is where the clients of one deployment connect. It has the listeners
// and their routers, and decides which replicas get the requests.
//
// A Frontend has two listener groups: one for the live environment and one that
// previews the staging environment. Each group has one router, so that all its
// addresses lead to the same environment at any moment. The route follows the
// ledger: Route is called after every commit and after every change of the replicas.
//
// # What happens to open connections
//
// A switch closes none: requests in flight finish where they are, and the next
// request on the same connection goes to the new environment. The drain timeout begins
// with the switch. When it is over, requests that are still in flight on the former
// environment are closed.
//
// A change of addresses keeps the sockets that stay. Clients of an address that is
// removed finish their request and are asked to connect again; after the drain
// timeout they are closed.
//
// Retire asks all clients to connect again, for another agent that has the same
// sockets. Shutdown stops listening and waits for what is in flight, for the drain
// timeout at most. Close closes everything at once.
package frontend
