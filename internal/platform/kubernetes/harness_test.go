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
	h := openHarness(t, client, options)
	t.Cleanup(func() {
		// Clients are not served any more.
		options.DrainTimeout = 0
		last := openHarness(t, sharedCluster.client, options)
		if err := last.Destroy(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("destroying after the test: %v", err)
		}
	})
	return h
}

// openHarness returns a deployment that may exist, without changing it.
func openHarness(t testing.TB, client *Client, options Options) *harness {
	t.Helper()
	platform, err := New(client, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(platform.Close)
	// A probe goes through the API server, which is slow on a busy machine.
	checker, err := health.New(health.Config{Interval: 50 * time.Millisecond, ProbeTimeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	deployer := bluegreen.NewDeployer(options.Name, platform, checker, "tester@host (pid 1)")
	return &harness{t, sharedCluster, platform, deployer}
}

func (h *harness) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// release returns a healthy release with the pod settings of the options.
func (h *harness) release(version string, replicas int) bluegreen.Release {
	h.Helper()
	conformance := conformanceHarness{image: h.Image(h)}
	release := conformance.Release(version, platformtest.Healthy)
	release.Replicas, release.Settings = replicas, h.platform.opts.PodSettings
	return release
}

// makeLive deploys a version and switches to it.
func (h *harness) makeLive(version string, replicas int) {
	h.Helper()
	want := h.desired(version, replicas)
	ledger, err := h.platform.Load(h.Context())
	if err != nil {
		_, err = h.Create(h.Context(), want)
	} else {
		_, err = h.Apply(h.Context(), ledger, withRetry(want, ledger))
	}
	h.must(err)
}

// withRetry returns want so that a release that was rolled back is tried once more.
func withRetry(want bluegreen.Desired, ledger bluegreen.Ledger) bluegreen.Desired {
	rolledBack, _ := ledger.RolledBack()
	want.Retry = rolledBack.ID
	return want
}

func (h *harness) desired(version string, replicas int) bluegreen.Desired {
	h.Helper()
	return bluegreen.Desired{
		Release: h.release(version, replicas), Promote: true, KeepStandby: true, MinHealthyPercent: 100,
	}
}

// apply applies what is desired, as after a plan that was made just now.
func (h *harness) apply(want bluegreen.Desired) error {
	h.Helper()
	ledger, err := h.platform.Load(h.Context())
	h.must(err)
	_, err = h.Apply(h.Context(), ledger, want)
	return err
}

// session returns a session without a lock, which ends with the test.
func (h *harness) session() *cluster.Session {
	session := cluster.NewSession(h.Context(), h.api, h.Namespace)
	h.Cleanup(session.Close)
	return session
}

// informers returns informers of their own for an environment.
func (h *harness) informers(env bluegreen.Environment) *workloadInformers {
	return informersFor(h.session(), h.platform.opts.managedWorkload(env))
}

// requireServes fails the test unless a client is answered with version.
func (h *harness) requireServes(version string) {
	h.Helper()
	conformance := &conformanceHarness{testCluster: h.testCluster}
	if got := conformance.Serves(h, h.Deployment); got != version {
		h.Fatalf("a client is answered with %q, want %q", got, version)
	}
}

// podsOf returns the pods of an environment by their UIDs.
func (h *harness) podsOf(env bluegreen.Environment) map[types.UID]*corev1.Pod {
	h.Helper()
	found, err := h.api.Pods(h.Namespace).List(h.Context(), cluster.WithLabels(podLabels(h.Deployment, env.String())))
	h.must(err)
	pods := map[types.UID]*corev1.Pod{}
	for i := range found.Items {
		pods[found.Items[i].UID] = &found.Items[i]
	}
	return pods
}

// running returns how many replicas a refresh counts.
func (h *harness) running() map[bluegreen.Environment]int {
	h.Helper()
	status, err := h.Status(h.Context())
	h.must(err)
	return status.Running
}

// drift returns what a refresh says that somebody has changed.
func (h *harness) drift() []string {
	h.Helper()
	status, err := h.Status(h.Context())
	h.must(err)
	return status.Drift
}

func (h *harness) instances(env bluegreen.Environment) []bluegreen.Instance {
	h.Helper()
	instances, err := h.platform.Instances(h.Context(), env)
	h.must(err)
	return instances
}

func (h *harness) deployment(env bluegreen.Environment) *appsv1.Deployment {
	h.Helper()
	deployments := h.api.Deployments(h.Namespace)
	found, err := deployments.Get(h.Context(), workloadName(h.Deployment, env), metav1.GetOptions{})
	h.must(err)
	return found
}

func (h *harness) patchService(patch string) {
	h.Helper()
	_, err := h.api.Services(h.Namespace).Patch(h.Context(), h.Deployment, types.MergePatchType, []byte(patch),
		metav1.PatchOptions{FieldManager: "kubectl"})
	h.must(err)
}

func (h *harness) patchDeployment(env bluegreen.Environment, patch string) {
	h.Helper()
	_, err := h.api.Deployments(h.Namespace).Patch(h.Context(), workloadName(h.Deployment, env),
		types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl"})
	h.must(err)
}

// requireEvents fails the test unless the Events on the Service have all these reasons.
func (h *harness) requireEvents(reasons ...string) {
	h.Helper()
	about := metav1.ListOptions{FieldSelector: "involvedObject.kind=Service,involvedObject.name=" + h.Deployment}
	events, err := h.api.Events(h.Namespace).List(h.Context(), about)
	h.must(err)
	var recorded []string
	for _, event := range events.Items {
		recorded = append(recorded, event.Reason)
	}
	for _, reason := range reasons {
		if !slices.Contains(recorded, reason) {
			h.Errorf("the Events are %v, without %s", recorded, reason)
		}
	}
}

// requireNothingLeft fails the test if any object of the deployment is still there.
func (h *harness) requireNothingLeft() {
	h.Helper()
	ours := cluster.WithLabels(map[string]string{labelDeployment: h.Deployment})
	services, err := h.api.Services(h.Namespace).List(h.Context(), ours)
	h.must(err)
	deployments, err := h.api.Deployments(h.Namespace).List(h.Context(), ours)
	h.must(err)
	leases, err := h.api.Leases(h.Namespace).List(h.Context(), ours)
	h.must(err)
	if len(services.Items)+len(deployments.Items)+len(leases.Items) > 0 {
		h.Errorf("%d Services, %d Deployments and %d Leases are left",
			len(services.Items), len(deployments.Items), len(leases.Items))
	}
}

// nodePort is the address at which the node serves clients outside the cluster.
func (h *harness) nodePort() string {
	h.Helper()
	service, err := h.api.Services(h.Namespace).Get(h.Context(), h.Deployment, metav1.GetOptions{})
	h.must(err)
	return hostPort("127.0.0.1", int(service.Spec.Ports[0].NodePort))
}

// clusterAddress is the address at which clients in the cluster are served, and
// those on the node.
//
// While pods come and go, iptables on the node has no NodePort on loopback for some
// milliseconds when kube-proxy writes its rules, and the node itself refuses a
// connection, whatever the endpoints are. A new connection to this address is tried
// again by TCP.
func (h *harness) clusterAddress() string {
	h.Helper()
	service, err := h.api.Services(h.Namespace).Get(h.Context(), h.Deployment, metav1.GetOptions{})
	h.must(err)
	return hostPort(service.Spec.ClusterIP, int(service.Spec.Ports[0].Port))
}

func onNodePort(o *Options) { o.Service.Type = "NodePort" }
