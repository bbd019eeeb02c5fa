// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"os"
	"testing"

	appsv1client "k8s.io/client-go/kubernetes/typed/apps/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/clustertest"
)

// testCluster is the cluster that the tests share, and an administrator's access to it.
type testCluster struct {
	*clustertest.Cluster
	client *Client
	api    *cluster.API
	// apps is for what api does not offer.
	apps appsv1client.AppsV1Interface
}

// sharedCluster is nil if there is no cluster.
var sharedCluster *testCluster

func TestMain(m *testing.M) { os.Exit(clustertest.Main(m, setUp)) }

func setUp(c *clustertest.Cluster) (tearDown func(), err error) {
	sharedCluster = &testCluster{Cluster: c, client: NewClient(adminConfig(c))}
	if sharedCluster.api, err = sharedCluster.client.API(); err != nil {
		return nil, err
	}
	sharedCluster.apps, err = appsv1client.NewForConfigAndClient(c.Config, c.HTTP)
	return sharedCluster.client.Close, err
}

func adminConfig(c *clustertest.Cluster) ClientConfig {
	return ClientConfig{ConfigPaths: []string{c.Kubeconfig()}}
}
