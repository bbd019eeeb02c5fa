// SPDX-License-Identifier: MPL-2.0

// Package kubernetes runs deployments on a cluster, with nothing installed there:
// a Deployment for each environment, a Service for live and one for the preview, and
// a Lease as the lock.
//
// The ledger is an annotation of the live Service, and the Service's selector is
// derived from it: one write moves traffic and history together. Whatever takes time
// is waited for by informers, which run as long as the lock is held.
//
// The package cluster below it knows the cluster and no ledger.
package kubernetes
