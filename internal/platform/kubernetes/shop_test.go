// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

// shop is a deployment on the cluster, and whoever operates it.
type shop struct {
	testing.TB
	*testbed
	platform *Platform
	*bluegreen.Deployer
}

// newShop returns a deployment that is named after the test, as change makes it.
// It is destroyed when the test is over.
func newShop(t testing.TB, change ...func(*Options)) *shop {
	t.Helper()
	return newShopOf(t, theTestbed.client, change...)
}

func newShopOf(t testing.TB, client *Client, change ...func(*Options)) *shop {
	t.Helper()
	name, _, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(t.Name(), "TestCluster"), "Benchmark")), "/")
	options := Options{Namespace: theTestbed.namespace, Name: name[:min(len(name), 30)], PodSettings: PodSettings{Port: replicaPort}, DrainTimeout: time.Second}
	for _, f := range change {
		f(&options)
	}
	s := openShop(t, client, options)
	t.Cleanup(func() {
		// Nobody is served any more.
		options.DrainTimeout = 0
		last := openShop(t, theTestbed.client, options)
		if err := last.Destroy(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("destroying after the test: %v", err)
		}
	})
	return s
}

func openShop(t testing.TB, client *Client, options Options) *shop {
	t.Helper()
	platform, err := New(client, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(platform.Close)
	checker, err := health.New(health.Config{Interval: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return &shop{t, theTestbed, platform, bluegreen.NewDeployer(options.Name, platform, checker, "tester@host (pid 1)")}
}

func (s *shop) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *shop) release(version string, replicas int) bluegreen.Release {
	s.Helper()
	l := lab{image: s.replicaImage(s)}
	release := l.Release(version, platformtest.Healthy)
	release.Replicas = replicas
	return release
}

// live brings a version live.
func (s *shop) live(version string, replicas int) {
	s.Helper()
	want := s.desired(version, replicas)
	ledger, err := s.platform.Load(s.Context())
	if err != nil {
		_, err = s.Create(s.Context(), want)
	} else {
		_, err = s.Apply(s.Context(), ledger, want)
	}
	s.must(err)
}

func (s *shop) desired(version string, replicas int) bluegreen.Desired {
	s.Helper()
	return bluegreen.Desired{Release: s.release(version, replicas), Promote: true, KeepStandby: true, MinHealthyPercent: 100}
}

// apply applies what is desired to the deployment as it is, as a plan that was
// made this moment.
func (s *shop) apply(want bluegreen.Desired) error {
	s.Helper()
	ledger, err := s.platform.Load(s.Context())
	s.must(err)
	_, err = s.Apply(s.Context(), ledger, want)
	return err
}

// serves fails the test unless a client is answered with version.
func (s *shop) serves(version string) {
	s.Helper()
	l := &lab{testbed: s.testbed}
	if got := l.Serves(s, s.Deployment); got != version {
		s.Fatalf("a client is answered with %q, want %q", got, version)
	}
}

// nodePort is the address at which the node serves clients outside of the cluster.
func (s *shop) nodePort() string {
	s.Helper()
	service, err := s.api.services(s.namespace).Get(s.Context(), s.Deployment, metav1.GetOptions{})
	s.must(err)
	return hostPort("127.0.0.1", int(service.Spec.Ports[0].NodePort))
}

// clusterAddress is the address at which clients in the cluster are served, and
// those on the node.
//
// While pods come and go, iptables on the node loses sight of a NodePort on
// loopback for some milliseconds when kube-proxy writes its rules, and the node
// itself refuses a connection, whatever the endpoints are. A new connection to
// this address is tried again by TCP.
func (s *shop) clusterAddress() string {
	s.Helper()
	service, err := s.api.services(s.namespace).Get(s.Context(), s.Deployment, metav1.GetOptions{})
	s.must(err)
	return hostPort(service.Spec.ClusterIP, int(service.Spec.Ports[0].Port))
}

func onNodePort(o *Options) { o.Service.Type = "NodePort" }
