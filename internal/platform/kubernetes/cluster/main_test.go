// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"os"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/clustertest"
)

// sharedCluster is nil if there is no cluster.
var (
	sharedCluster *clustertest.Cluster
	sharedAPI     *API
)

func TestMain(m *testing.M) { os.Exit(clustertest.Main(m, setUp)) }

func setUp(c *clustertest.Cluster) (tearDown func(), err error) {
	client := NewClient(Config{ConfigPaths: []string{c.Kubeconfig()}})
	sharedCluster = c
	sharedAPI, err = client.API()
	return client.Close, err
}
