// SPDX-License-Identifier: MPL-2.0

// Package cluster is the connection to a Kubernetes cluster: a client for the few
// kinds of objects that a deployment is made of, a lock, informers, and the ways
// into a pod. It knows nothing of deployments, environments or ledgers.
//
// A [Client] connects when it is first used and is shared by all deployments on a
// cluster. A [Session] is what runs in the background for one of them: the Lease
// while a lock is held, the informers and the port-forward tunnels. Nothing of it
// outlives the call of its Close or Unlock.
//
// The lock is a Lease, which its holder renews every few seconds. It is lost when
// the Lease is removed or another holder takes it. It is not lost if the Lease has only
// run out, as while the cluster cannot be reached: the holder renews it.
// Once it is lost it stays lost: [Session.Writer] returns an error with
// [ErrLockLost], and every [Session.Await] that is not done ends with the same
// error. Ask for the Writer immediately before each write, and make the write
// conditional on a resourceVersion: a request that is on its way when the lock is
// lost still arrives.
//
// An [Informer] has the objects that a LIST found, kept current by a WATCH. It
// never answers from an old copy: while the watch is broken, Items returns an error
// and Await goes on waiting, until the cluster answers again or forbids the request.
// Two informers of a session may be at different versions, and an informer may be
// behind a write that this process has just made.
//
// A tunnel is a port-forward to one pod, over which any number of connections go.
// It ends with its session, with its pod, and when the node breaks it off; the next
// Dial opens another one. A connection ends with its tunnel.
package cluster
