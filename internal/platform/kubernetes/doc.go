// SPDX-License-Identifier: MPL-2.0

// Package kubernetes runs deployments on a cluster. It installs no controller and no
// custom resource there.
//
// # Objects in the cluster
//
//   - Service NAME is the one that clients use. Its annotations hold the ledger, the
//     history, the times at which traffic left the environments, and the workload that
//     was adopted.
//   - Service NAME-preview leads to the environment in staging.
//   - Deployments NAME-blue and NAME-green run the releases. An annotation of them holds
//     the key of the fingerprints in the ledger.
//   - Lease NAME-bluegreen is the lock. It keeps a copy of the annotations of Service NAME, so that
//     a ledger that another tool has removed or broken can be restored.
//
// All of them carry the label of the deployment. An object without it is not changed,
// unless it is adopted.
//
// # What one write contains
//
// A commit writes the ledger, the history and the selector of Service NAME in one
// request, so that the traffic and the record of it cannot disagree. The first commit
// creates the Service. Each later one requires the resourceVersion that was read, and the
// cluster refuses it if the Service was changed meanwhile; then the Service is read again,
// and the commit is made again only if the ledger is still the one before it.
//
// The copy in the Lease is written before that request. It may be ahead of the ledger, never behind.
// The other objects are written before or after that request, and can be behind it. What
// is missing after a crash is written by the next commit.
//
// # What is derived
//
// The selector follows from the ledger: it selects the pods of the live environment, or
// none if nothing serves. The preview follows from it as well. A Deployment follows from
// the release in its slot; the label of its pods with the digest of the template says
// whether it runs that release. A commit or an apply repairs what was changed by hand.
//
// # What the lock guards
//
// Every write asks for the lock first. A request that is on its way when the lock is lost
// still arrives. For this reason the writes of Service NAME and of the Deployments are
// conditional: they create an object, or name the version that they replace or delete.
// Reading needs no lock.
//
// While the lock is held, the package waits by informers and not by polling; the wait for
// a Service that is being removed is the exception. The package cluster below this one
// has the client, the Lease and the informers, and knows no ledger.
package kubernetes
