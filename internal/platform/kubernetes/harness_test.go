// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// harness is a deployment on the cluster, and the engine that operates it.
type harness struct {
	testing.TB
	*testCluster
	platform *Platform
	*bluegreen.Deployer
}

// newHarness returns a deployment that is named after the test, with the options that
// change makes. It is destroyed when the test is over.
func newHarness(t testing.TB, change ...func(*Options)) *harness {
	t.Helper()
	return newHarnessWithClient(t, sharedCluster.client, change...)
}

func newHarnessWithClient(t testing.TB, client *Client, change ...func(*Options)) *harness {
	t.Helper()
	name := strings.TrimPrefix(strings.TrimPrefix(t.Name(), "TestCluster"), "Benchmark")
	name, _, _ = strings.Cut(strings.ToLower(name), "/")
	options := Options{
		Namespace: sharedCluster.Namespace, Name: name[:min(len(name), 30)],
		PodSettings: PodSettings{Port: replicaPort}, DrainTimeout: time.Second,
	}
	for _, f := range change {
		f(&options)
	}
	s := openHarness(t, client, options)
	t.Cleanup(func() {
		// Clients are not served any more.
		options.DrainTimeout = 0
		last := openHarness(t, sharedCluster.client, options)
		if err := last.Destroy(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("destroying after the test: %v", err)
		}
	})
	return s
}

// openHarness returns a deployment that may exist, without changing it.
func openHarness(t testing.TB, client *Client, options Options) *harness {
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
	deployer := bluegreen.NewDeployer(options.Name, platform, checker, "tester@host (pid 1)")
	return &harness{t, sharedCluster, platform, deployer}
}

func (s *harness) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// release returns a healthy release with the pod settings of the options.
func (s *harness) release(version string, replicas int) bluegreen.Release {
	s.Helper()
	conformance := conformanceHarness{image: s.Image(s)}
	release := conformance.Release(version, platformtest.Healthy)
	release.Replicas, release.Settings = replicas, s.platform.opts.PodSettings
	return release
}

// makeLive deploys a version and switches to it.
func (s *harness) makeLive(version string, replicas int) {
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

func (s *harness) desired(version string, replicas int) bluegreen.Desired {
	s.Helper()
	return bluegreen.Desired{
		Release: s.release(version, replicas), Promote: true, KeepStandby: true, MinHealthyPercent: 100,
	}
}

// apply applies what is desired, as a plan would that was made just now.
func (s *harness) apply(want bluegreen.Desired) error {
	s.Helper()
	ledger, err := s.platform.Load(s.Context())
	s.must(err)
	_, err = s.Apply(s.Context(), ledger, want)
	return err
}

// session returns a session without a lock, which ends with the test.
func (s *harness) session() *cluster.Session {
	session := cluster.NewSession(s.Context(), s.api, s.Namespace)
	s.Cleanup(session.Close)
	return session
}

// informers returns informers of their own for an environment.
func (s *harness) informers(env bluegreen.Environment) *workloadInformers {
	return informersFor(s.session(), s.platform.opts.managedWorkload(env))
}

// requireServes fails the test unless a client is answered with version.
func (s *harness) requireServes(version string) {
	s.Helper()
	conformance := &conformanceHarness{testCluster: s.testCluster}
	if got := conformance.Serves(s, s.Deployment); got != version {
		s.Fatalf("a client is answered with %q, want %q", got, version)
	}
}

// podsOf returns the pods of an environment by their UIDs.
func (s *harness) podsOf(env bluegreen.Environment) map[types.UID]*corev1.Pod {
	s.Helper()
	found, err := s.api.Pods(s.Namespace).List(s.Context(), cluster.WithLabels(podLabels(s.Deployment, env.String())))
	s.must(err)
	pods := map[types.UID]*corev1.Pod{}
	for i := range found.Items {
		pods[found.Items[i].UID] = &found.Items[i]
	}
	return pods
}

// running returns how many replicas a refresh counts.
func (s *harness) running() map[bluegreen.Environment]int {
	s.Helper()
	status, err := s.Status(s.Context())
	s.must(err)
	return status.Running
}

func (s *harness) instances(env bluegreen.Environment) []bluegreen.Instance {
	s.Helper()
	instances, err := s.platform.Instances(s.Context(), env)
	s.must(err)
	return instances
}

func (s *harness) deployment(env bluegreen.Environment) *appsv1.Deployment {
	s.Helper()
	deployments := s.api.Deployments(s.Namespace)
	found, err := deployments.Get(s.Context(), workloadName(s.Deployment, env), metav1.GetOptions{})
	s.must(err)
	return found
}

func (s *harness) patchService(patch string) {
	s.Helper()
	_, err := s.api.Services(s.Namespace).Patch(s.Context(), s.Deployment, types.MergePatchType, []byte(patch),
		metav1.PatchOptions{FieldManager: "kubectl"})
	s.must(err)
}

func (s *harness) patchDeployment(env bluegreen.Environment, patch string) {
	s.Helper()
	_, err := s.api.Deployments(s.Namespace).Patch(s.Context(), workloadName(s.Deployment, env),
		types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl"})
	s.must(err)
}

// requireEvents fails the test unless the Events on the Service have all these reasons.
func (s *harness) requireEvents(reasons ...string) {
	s.Helper()
	about := metav1.ListOptions{FieldSelector: "involvedObject.kind=Service,involvedObject.name=" + s.Deployment}
	events, err := s.api.Events(s.Namespace).List(s.Context(), about)
	s.must(err)
	var recorded []string
	for _, event := range events.Items {
		recorded = append(recorded, event.Reason)
	}
	for _, reason := range reasons {
		if !slices.Contains(recorded, reason) {
			s.Errorf("the Events are %v, without %s", recorded, reason)
		}
	}
}

// requireNothingLeft fails the test if any object of the deployment is still there.
func (s *harness) requireNothingLeft() {
	s.Helper()
	ours := cluster.WithLabels(map[string]string{labelDeployment: s.Deployment})
	services, err := s.api.Services(s.Namespace).List(s.Context(), ours)
	s.must(err)
	deployments, err := s.api.Deployments(s.Namespace).List(s.Context(), ours)
	s.must(err)
	leases, err := s.api.Leases(s.Namespace).List(s.Context(), ours)
	s.must(err)
	if len(services.Items)+len(deployments.Items)+len(leases.Items) > 0 {
		s.Errorf("%d Services, %d Deployments and %d Leases are left",
			len(services.Items), len(deployments.Items), len(leases.Items))
	}
}

// nodePort is the address at which the node serves clients outside the cluster.
func (s *harness) nodePort() string {
	s.Helper()
	service, err := s.api.Services(s.Namespace).Get(s.Context(), s.Deployment, metav1.GetOptions{})
	s.must(err)
	return hostPort("127.0.0.1", int(service.Spec.Ports[0].NodePort))
}

// clusterAddress is the address at which clients in the cluster are served, and
// those on the node.
//
// While pods come and go, iptables on the node has no NodePort on loopback for some
// milliseconds when kube-proxy writes its rules, and the node itself refuses a
// connection, whatever the endpoints are. A new connection to this address is tried
// again by TCP.
func (s *harness) clusterAddress() string {
	s.Helper()
	service, err := s.api.Services(s.Namespace).Get(s.Context(), s.Deployment, metav1.GetOptions{})
	s.must(err)
	return hostPort(service.Spec.ClusterIP, int(service.Spec.Ports[0].Port))
}

func onNodePort(o *Options) { o.Service.Type = "NodePort" }
