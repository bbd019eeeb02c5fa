// SPDX-License-Identifier: MPL-2.0

// Package router is the data plane: it listens for clients and proxies HTTP or
// raw TCP to the replicas of one environment.
//
// A [Router] is one listening endpoint with one atomic target, a [Pool], which
// is the set of replicas of one environment. A switch stores another pool in
// the target: requests in flight finish where they are, the next one goes to
// the new pool, and client connections stay open. The package knows nothing of
// ledgers and processes; whoever commits the ledger calls [Router.Switch] next.
//
// # Exactness
//
// A request first counts itself in, then looks again whether the target and its
// members are still the ones it read, and steps back otherwise. Whoever swaps a
// pointer and then reads a count of zero therefore knows that nothing will
// start on what was swapped out: [Pool.WaitIdle] after Switch and
// [Pool.WaitBackendIdle] after Set can be trusted. The request path takes no
// lock; one is taken only when a connection opens or closes.
//
// # Forwarded headers
//
// The router is the edge: it trusts nobody before it. X-Forwarded-For, -Host
// and -Proto are set from the client's connection, and whatever the client sent
// under these and the related names is dropped, so a replica may believe them.
package router
