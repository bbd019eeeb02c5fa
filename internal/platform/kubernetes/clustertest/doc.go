// SPDX-License-Identifier: MPL-2.0

// Package clustertest gives tests the cluster that `make testbed` starts.
//
// [Main] runs the tests of a package. Before that it creates a namespace for them, and
// afterwards it removes the namespace and looks for goroutines that have not ended. Without
// a cluster, the tests that need one are skipped; with BLUEGREEN_REQUIRE_KUBERNETES=1
// that is a failure.
//
// [Cluster.Image] builds the test service and loads it onto the node, once for each
// process and only if a test asks for it.
package clustertest
