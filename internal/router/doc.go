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
// No request waits for a lock that is held for longer than it takes to change a few fields.
//
// # One request, one client, one answer
//
// A connection to a replica is used again only if exactly the bytes of one answer came.
// Whether more have come is looked at when the answer ends and again before the next
// request is sent. After an answer that must not have a body, but seems to, the
// connection is closed. Go's own transport looks too late (golang/go#68653).
//
// A request is sent to another replica if the first one refused the connection, that is,
// if nothing has been sent yet. A replica that refused is passed over for a second,
// unless there is no other. A request is sent a second time only if its connection had
// been idle, it changes nothing and has no body, and nothing of an answer came; and then
// only once, on a fresh connection (RFC 9110 9.2.2).
//
// The answer is passed on while the body of the request still comes in. If a client's body
// is malformed, the client gets a 400 and the replica is not blamed. A malformed answer is
// a 502, and one that does not come within [Settings.ResponseTimeout] a 504.
//
// The replica of a request is the one with fewer requests in flight of two picked at random.
//
// # Forwarded headers
//
// The router sets X-Forwarded-For, -Host and -Proto from the client's connection. It drops
// what a client sends under these and the related names, in every spelling that a gateway
// would read as the same name, so that a replica can trust them. From the addresses in
// [Settings.TrustedProxies] they are kept and appended to.
//
// # What the codec of net/http decides
//
// A part of a body of known length is passed on as soon as it has come, in both directions.
// A chunk is passed on when it is whole or has 32 KB: the reader of chunks in net/http
// waits for that. So a stream reaches the other side at once if its sender makes a chunk of
// each part, which servers and clients do.
//
// An empty line between two requests is answered with 400, except before the first request
// and after a POST, where net/http passes it over. The router cannot pass it over itself,
// since only net/http knows where a body ends.
//
// # What is left to others
//
// The router does not terminate TLS, and does not compress, cache, mirror, buffer or limit
// the rate of requests, and speaks no HTTP/3. Towards replicas it speaks HTTP/1.1, and HTTP/2 only for gRPC. The
// reason phrase of an answer is the standard one of its status.
package router
