// SPDX-License-Identifier: MPL-2.0

// Package router is the data plane: it listens for clients and proxies HTTP or
// raw TCP to the replicas of one environment.
//
// A [Router] is one listening endpoint, and sends requests to one [Pool]. A pool
// is the set of replicas of one environment; the router calls a replica that it
// sends to a backend. A switch replaces the pointer to the pool: requests in
// flight finish where they are, the next one goes to the new pool, and client
// connections stay open. The package does not know ledgers or processes. Its caller
// commits the ledger and then calls [Router.Switch].
//
// # What a caller can rely on
//
// A request first counts itself in. Then it checks that the pool and its list
// of backends are still the ones it read, and starts over if they are not.
// Therefore, once a pointer has been swapped and a count of zero has been read
// afterwards, nothing starts any more on what was swapped out: the answers of
// [Pool.WaitIdle] after Switch and of [Pool.WaitBackendIdle] after Set are final.
// The request path takes no lock; a lock is taken only when a connection opens
// or closes.
//
// A request is sent to another backend only if the first one refused the
// connection, that is, if nothing has been sent yet. A backend that refused is
// passed over for a second, unless there is no other.
//
// # Forwarded headers
//
// The router trusts no proxy in front of it. It sets X-Forwarded-For, -Host and
// -Proto from the client's connection and drops what the client sent under
// these and the related names, so that a replica can trust them.
package router
