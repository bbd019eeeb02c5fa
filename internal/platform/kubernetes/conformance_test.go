// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// replicaPort is where the pods of the tests listen.
const replicaPort = 8000

func TestConformance(t *testing.T) {
	t.Parallel()
	checker, err := health.New(health.Config{Interval: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	platformtest.Run(t, &conformanceHarness{
		testCluster: sharedCluster, image: sharedCluster.Image(t), checker: checker,
	})
}

// conformanceHarness is the cluster as the conformance suite uses it.
type conformanceHarness struct {
	*testCluster
	image   string
	checker bluegreen.Checker
}

var _ platformtest.Harness = (*conformanceHarness)(nil)

func (h *conformanceHarness) open(t testing.TB, deployment string) *Platform {
	t.Helper()
	p, err := New(h.client, Options{
		Namespace: h.Namespace, Name: deployment, PodSettings: PodSettings{Port: replicaPort},
		DrainTimeout: time.Second, RecycleStandby: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (h *conformanceHarness) Open(t testing.TB, deployment string) platformtest.Process {
	p := h.open(t, deployment)
	return platformtest.Process{Platform: p, Kill: func() { h.kill(t, p) }}
}

// kill ends what runs in the background, as the end of the process would, and makes its
// lease run out, as time would.
func (h *conformanceHarness) kill(t testing.TB, p *Platform) {
	hadLock := p.currentRun() != nil
	p.Close()
	if !hadLock {
		return
	}
	ctx, leases := context.WithoutCancel(t.Context()), h.api.Leases(h.Namespace)
	lease, err := leases.Get(ctx, leaseName(p.opts.Name), metav1.GetOptions{})
	if err == nil {
		longAgo := metav1.NewMicroTime(h.api.Now().Add(-2 * cluster.LeaseDuration))
		lease.Spec.RenewTime = &longAgo
		_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		t.Errorf("making the lease of a dead process run out: %v", err)
	}
}

func (h *conformanceHarness) Release(version string, behaviour platformtest.Behaviour) bluegreen.Release {
	return bluegreen.Release{
		Version: version, Image: h.image, Replicas: 2, Settings: PodSettings{Port: replicaPort},
		Env: map[string]string{"BEHAVIOUR": string(behaviour), "PATH": "/"},
	}
}

func (h *conformanceHarness) Checker() bluegreen.Checker { return h.checker }

// readyAgain is how long a pod that a Service selects may not be ready. On a busy machine the
// kubelet may take a pod's first readiness back for a moment, because it writes a status that it
// worked out before.
const readyAgain = 5 * time.Second

// Serves asks one of the Service's endpoints, once they are the pods that its selector
// selects. It waits a moment for pods that are not ready.
func (h *conformanceHarness) Serves(t testing.TB, deployment string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
	defer cancel()
	service, err := h.api.Services(h.Namespace).Get(ctx, deployment, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	session := cluster.NewSession(ctx, h.api, h.Namespace)
	defer session.Close()
	began := time.Now()
	slices, pods := session.EndpointSlices(deployment), session.Pods(service.Spec.Selector)
	address := ""
	if err := session.Await(ctx, func() (bool, time.Duration, error) {
		found, err := slices.Items()
		if err != nil {
			return false, 0, err
		}
		selected, err := pods.Items()
		if err != nil {
			return false, 0, err
		}
		address = addressOfReady(found, selected)
		if address == "" {
			active := activePods(selected)
			hasWaited := len(active) == 0 || time.Since(began) >= readyAgain
			return hasWaited && !isAnyReady(active), readyAgain, nil
		}
		return endpointMismatch(found, selected) == "", 0, nil
	}); err != nil {
		t.Fatalf("the endpoints of %s never were what it selects: %v", deployment, err)
	}
	if address == "" {
		logPods(t, pods)
		return ""
	}
	return h.get(t, net.JoinHostPort(address, strconv.Itoa(replicaPort)))
}

// logPods writes what became of the pods that do not serve.
func logPods(t testing.TB, informer *cluster.Informer[*corev1.Pod]) {
	t.Helper()
	pods, err := informer.Items()
	if err != nil {
		t.Logf("no pod is ready: %v", err)
		return
	}
	t.Logf("none of %d pods is ready", len(pods))
	for _, pod := range pods {
		t.Logf("pod %s: %s, deleted at %v: %v", pod.Name, pod.Status.Phase, pod.DeletionTimestamp, checkPodReady(pod))
	}
}

func isAnyReady(pods []*corev1.Pod) bool {
	return slices.ContainsFunc(pods, func(pod *corev1.Pod) bool { return !isNotReady(pod) })
}

// addressOfReady returns the address of an endpoint whose pod is ready, "" if there is none. An
// endpoint is called ready for a moment after its pod is not.
func addressOfReady(slices []*discoveryv1.EndpointSlice, pods []*corev1.Pod) string {
	endpoints := readyEndpoints(slices)
	for _, pod := range pods {
		if endpoints[pod.UID] && pod.DeletionTimestamp == nil && !isNotReady(pod) {
			return pod.Status.PodIP
		}
	}
	return ""
}

// client opens a connection for every request, as a new client does.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}

// get returns what a client is answered with, "" for an answer with an error status.
func (h *conformanceHarness) get(t testing.TB, address string) string {
	t.Helper()
	answer, err := ask(client, "http://"+address+"/")
	if err != nil && !errors.Is(err, errStatus) {
		t.Fatalf("a client got no answer: %v", err)
	}
	return answer
}

func ask(c *http.Client, url string) (string, error) {
	response, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return "", fmt.Errorf("half an answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%w: %s: %s", errStatus, response.Status, content)
	}
	return string(content), nil
}

// errStatus is an answer whose status is not 200.
var errStatus = errors.New("answered with an error")

func (h *conformanceHarness) MakeUnhealthy(t testing.TB, deployment string, env bluegreen.Environment) {
	t.Helper()
	for _, address := range h.replicas(t, deployment, env) {
		if _, err := ask(client, address+"/sicken"); err != nil {
			t.Fatal(err)
		}
	}
}

func (h *conformanceHarness) Crash(t testing.TB, deployment string, env bluegreen.Environment) {
	t.Helper()
	for _, address := range h.replicas(t, deployment, env) {
		// The replica exits before it answers.
		_, _ = ask(client, address+"/exit")
	}
}

// awaitRollout waits until the pods of an environment that is being replaced, such as a
// standby that is recycled, are complete.
func (h *conformanceHarness) awaitRollout(t testing.TB, deployment string, env bluegreen.Environment) {
	t.Helper()
	deployments := h.api.Deployments(h.Namespace)
	found, err := deployments.Get(t.Context(), workloadName(deployment, env), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	changes := cluster.WithName(found.Name)
	changes.ResourceVersion = found.ResourceVersion
	watching, err := deployments.Watch(t.Context(), changes)
	if err != nil {
		t.Fatal(err)
	}
	defer watching.Stop()
	for !isRolledOut(found) {
		event := <-watching.ResultChan()
		changed, ok := event.Object.(*appsv1.Deployment)
		if !ok {
			t.Fatalf("watching the Deployment of %s: %+v", env, event)
		}
		found = changed
	}
}

// isRolledOut reports whether all pods of a Deployment are of its last template and ready.
func isRolledOut(d *appsv1.Deployment) bool {
	size := *d.Spec.Replicas
	return d.Status.ObservedGeneration >= d.Generation && d.Status.Replicas == size &&
		d.Status.UpdatedReplicas == size && d.Status.ReadyReplicas == size
}

// replicas returns the addresses of an environment's pods, once they are complete.
func (h *conformanceHarness) replicas(t testing.TB, deployment string, env bluegreen.Environment) (addresses []string) {
	t.Helper()
	h.awaitRollout(t, deployment, env)
	ofEnv := cluster.WithLabels(podLabels(deployment, env.String()))
	pods, err := h.api.Pods(h.Namespace).List(t.Context(), ofEnv)
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range activePodsOf(pods.Items) {
		addresses = append(addresses, "http://"+net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(replicaPort)))
	}
	return addresses
}

// activePodsOf returns the pods that are not being removed.
func activePodsOf(pods []corev1.Pod) []corev1.Pod {
	return slices.DeleteFunc(pods, func(pod corev1.Pod) bool { return pod.DeletionTimestamp != nil })
}
