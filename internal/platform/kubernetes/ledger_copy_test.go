// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

func (h *harness) service() *corev1.Service {
	h.Helper()
	service, err := h.api.Services(h.Namespace).Get(h.Context(), h.Deployment, metav1.GetOptions{})
	h.must(err)
	return service
}

// replaceService writes the Service as "kubectl replace" does: what change removes is gone.
func (h *harness) replaceService(change func(*corev1.Service)) {
	h.Helper()
	service := h.service()
	change(service)
	_, err := h.api.Services(h.Namespace).Update(h.Context(), service, metav1.UpdateOptions{FieldManager: "kubectl"})
	h.must(err)
}

func (h *harness) breakLedger() {
	h.Helper()
	h.replaceService(func(s *corev1.Service) { s.Annotations[annotationLedger] = `{"broken` })
}

func (h *harness) removeLedger() {
	h.Helper()
	h.replaceService(func(s *corev1.Service) { delete(s.Annotations, annotationLedger) })
}

// setCopy sets the ledger in the Lease, which nobody holds.
func (h *harness) setCopy(ledger string) {
	h.Helper()
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"annotations": map[string]string{annotationLedger: ledger}},
	})
	h.must(err)
	_, err = h.api.Leases(h.Namespace).Patch(h.Context(), leaseName(h.Deployment), types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: "kubectl"})
	h.must(err)
}

func (h *harness) status() bluegreen.Status {
	h.Helper()
	status, err := h.Status(h.Context())
	h.must(err)
	return status
}

func (h *harness) deleteLease() {
	h.Helper()
	h.must(h.api.Leases(h.Namespace).Delete(h.Context(), leaseName(h.Deployment), metav1.DeleteOptions{}))
}

// Tools rewrite the annotations of Services. Whatever is lost, a refresh knows what it knew
// before and says what was lost, and the next apply writes it back.
func TestClusterLostLedger(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.makeLive("1.0.0", 1)
	h.makeLive("2.0.0", 1)
	for _, c := range []struct {
		name, want string
		damage     func()
	}{
		{"removed", "annotation terraform-provider-bluegreen/ledger is missing", h.removeLedger},
		{"broken", "unexpected end of JSON input", h.breakLedger},
		{"the history is broken", "annotation terraform-provider-bluegreen/history", func() {
			h.replaceService(func(s *corev1.Service) { s.Annotations[annotationHistory] = "[" })
		}},
		{"replaced", "labels and annotations are missing", func() {
			h.replaceService(func(s *corev1.Service) { s.Labels, s.Annotations = nil, nil })
		}},
		{"replaced, with another port", "labels and annotations are missing", func() {
			h.replaceService(func(s *corev1.Service) {
				s.Labels, s.Annotations = nil, nil
				s.Spec.Ports[0].Port++
			})
		}},
	} {
		before := h.service()
		known := h.status().Ledger
		c.damage()
		status := h.status()
		if !strings.Contains(status.LedgerLost, c.want) || !strings.Contains(status.LedgerLost, "copy in Lease ") {
			t.Errorf("%s: what was lost is %q", c.name, status.LedgerLost)
		}
		if found := status.Ledger; found.Generation != known.Generation || found.Live != bluegreen.Blue {
			t.Errorf("%s: a refresh reads %+v, want %+v", c.name, found, known)
		}
		names, err := DeploymentNames(t.Context(), sharedCluster.client, h.Namespace)
		if h.service().Labels != nil && (err != nil || !slices.Contains(names, h.Deployment)) {
			t.Errorf("%s: it is not listed: %v", c.name, err)
		}
		h.must(h.apply(h.desired("2.0.0", 1)))
		h.requireServes("2.0.0")
		status, after := h.status(), h.service()
		if status.LedgerLost != "" || !status.CanRollBack(100) || status.Running[bluegreen.Blue] != 1 {
			t.Errorf("%s: after an apply the status is %+v", c.name, status)
		}
		if after.Labels[labelDeployment] != h.Deployment || after.UID != before.UID ||
			after.Spec.Ports[0].Port != before.Spec.Ports[0].Port {
			t.Errorf("%s: after an apply the Service is %+v", c.name, after)
		}
	}
	// What is lost does not stop a rollback.
	h.removeLedger()
	h.must(h.Rollback(t.Context(), "to see"))
	h.requireServes("1.0.0")
	h.removeLedger()
	h.must(h.Destroy(t.Context()))
	h.requireNothingLeft()
}

// The error says what is wrong with both, and the traffic goes on. Either of them that comes back
// is enough.
func TestClusterLostLedgerWithoutCopy(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.makeLive("1.0.0", 1)
	ledger := h.service().Annotations[annotationLedger]
	h.breakLedger()
	requireLost := func(want string) {
		t.Helper()
		_, err := h.Status(t.Context())
		_, isUnreadable := errors.AsType[*UnreadableError](err)
		if !isUnreadable || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), "unexpected end of JSON input") ||
			!strings.Contains(err.Error(), `follow "A lost ledger" in the guide to Kubernetes`) {
			t.Errorf("the error is %v, want %q", err, want)
		}
		if err := h.Destroy(t.Context()); err == nil {
			t.Error("it was destroyed")
		}
		h.requireServes("1.0.0")
	}
	h.setCopy(`{"broken`)
	requireLost("copy in Lease " + h.Namespace + "/" + leaseName(h.Deployment) + " cannot be read")
	schema := fmt.Sprintf(`"schema":%d`, bluegreen.SchemaVersion)
	h.setCopy(strings.Replace(ledger, schema, `"schema":99`, 1))
	requireLost("newer version of the provider")
	h.setCopy("")
	requireLost("there is no copy of it")
	h.replaceService(func(s *corev1.Service) { s.Annotations[annotationLedger] = ledger })
	h.must(h.apply(h.desired("1.0.0", 1)))
	h.removeLedger()
	if status := h.status(); status.Ledger.Live != bluegreen.Green || status.LedgerLost == "" {
		t.Errorf("the status is %+v", status)
	}
}

// The ledger of a newer version, which this one cannot read, is not lost.
func TestClusterLedgerOfANewerVersionIsNotLost(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.makeLive("1.0.0", 1)
	ledger := h.service().Annotations[annotationLedger]
	write := func(ledger string) {
		t.Helper()
		h.replaceService(func(s *corev1.Service) { s.Annotations[annotationLedger] = ledger })
	}
	write(`{"schema":99}`)
	_, err := h.Status(t.Context())
	if err == nil || !strings.Contains(err.Error(), "newer version of the provider") {
		t.Errorf("the error is %v", err)
	}
	write(ledger)
}

// The copy says nothing while the ledger can be read, however far apart the two are.
func TestClusterCopyNeverWinsOverTheLedger(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.makeLive("1.0.0", 1)
	old := h.service().Annotations[annotationLedger]
	h.makeLive("2.0.0", 1)
	known := h.status().Ledger
	newer := strings.Replace(h.service().Annotations[annotationLedger],
		fmt.Sprintf(`"generation":%d`, known.Generation), fmt.Sprintf(`"generation":%d`, known.Generation+3), 1)
	for _, copied := range []string{old, newer} {
		h.setCopy(copied)
		status := h.status()
		if status.LedgerLost != "" || status.Ledger.Generation != known.Generation {
			t.Errorf("a refresh reads %+v, want %+v", status.Ledger, known)
		}
		// Another annotation is damaged, and the copy does not fit the ledger.
		history := h.service().Annotations[annotationHistory]
		h.replaceService(func(s *corev1.Service) { s.Annotations[annotationHistory] = "[" })
		if _, err := h.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "generation") {
			t.Errorf("the error is %v", err)
		}
		h.replaceService(func(s *corev1.Service) { s.Annotations[annotationHistory] = history })
	}
	h.must(h.apply(h.desired("2.0.0", 1)))
	h.removeLedger()
	if status := h.status(); status.Ledger.Generation <= known.Generation || status.Ledger.Live != bluegreen.Blue {
		t.Errorf("a refresh reads %+v", status.Ledger)
	}
}

// A deployment that an earlier version made has no copy. It has one after the next run.
func TestClusterLedgerOfAnEarlierVersionIsCopied(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.makeLive("1.0.0", 1)
	h.deleteLease()
	if status := h.status(); status.LedgerLost != "" || status.Running[bluegreen.Green] != 1 {
		t.Errorf("the status is %+v", status)
	}
	// The run writes nothing itself.
	planned := h.status().Ledger
	planned.Generation--
	if _, err := h.Apply(t.Context(), planned, h.desired("1.0.0", 1)); !errors.Is(err, bluegreen.ErrPlanStale) {
		t.Errorf("the apply ends with %v", err)
	}
	h.removeLedger()
	if status := h.status(); status.LedgerLost == "" || status.Running[bluegreen.Green] != 1 {
		t.Errorf("the status is %+v", status)
	}
	h.must(h.apply(h.desired("1.0.0", 1)))
}

// A run is killed after it has written a copy and before it writes the Service. The ledger of the
// Service counts; without it the run is as one that was killed a moment later.
func TestClusterKilledBetweenCopyAndLedger(t *testing.T) {
	t.Parallel()
	client, fault := newFaultyClient(t)
	h := newHarness(t)
	h.makeLive("1.0.0", 1)
	before := h.status().Ledger
	killed := openHarness(t, client, h.platform.opts)
	var isDead atomic.Bool
	fault.intercept(true, func(r *http.Request) bool {
		if r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/services/"+h.Deployment) {
			isDead.Store(true)
		}
		return isDead.Load()
	})
	if _, err := killed.Apply(t.Context(), before, killed.desired("2.0.0", 1)); err == nil {
		t.Fatal("the apply was not killed")
	}
	killed.whileLeaseExpires(fault, func() {})
	status := h.status()
	if status.LedgerLost != "" || status.Ledger.Generation != before.Generation {
		t.Errorf("a refresh reads %+v, want %+v", status.Ledger, before)
	}
	h.removeLedger()
	status = h.status()
	if l := status.Ledger; l.Generation != before.Generation+1 || l.Blue.State != bluegreen.Deploying ||
		l.Live != bluegreen.Green || status.Running[bluegreen.Green] != 1 {
		t.Errorf("a refresh reads %+v", status)
	}
	h.requireServes("1.0.0")
	h.must(h.apply(h.desired("2.0.0", 1)))
	h.requireServes("2.0.0")
}

// The copy of a Service that was removed is not that of another one of the same name.
func TestClusterCopyOfAFormerService(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.makeLive("1.0.0", 1)
	services := h.api.Services(h.Namespace)
	ours := h.service()
	h.must(services.Delete(t.Context(), h.Deployment, metav1.DeleteOptions{}))
	if _, err := h.Status(t.Context()); !errors.Is(err, bluegreen.ErrNotFound) {
		t.Errorf("without its Service: %v", err)
	}
	_, err := services.Create(t.Context(), unmanagedService(h.Deployment, 80), metav1.CreateOptions{})
	h.must(err)
	if _, err := h.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "not managed by this provider") {
		t.Errorf("with the Service of another: %v", err)
	}
	h.must(services.Delete(t.Context(), h.Deployment, metav1.DeleteOptions{}))
	// A backup that leaves out the annotations brings ours back.
	again := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: h.Deployment, Labels: ours.Labels}}
	again.Spec.Selector, again.Spec.Ports = ours.Spec.Selector, ours.Spec.Ports
	_, err = services.Create(t.Context(), again, metav1.CreateOptions{})
	h.must(err)
	if status := h.status(); status.LedgerLost == "" || status.Ledger.Live != bluegreen.Green {
		t.Errorf("the status is %+v", status)
	}
}

// Both are lost, and there is no backup. The steps of the guide bring the deployment back, and no
// client notices.
func TestClusterWayOutOfALostLedger(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.makeLive("1.0.0", 1)
	h.makeLive("2.0.0", 1)
	clients := startClients(t, h.clusterAddress(), 2, 2)
	clients.awaitAnswer("2.0.0")
	h.deleteLease()
	h.breakLedger()

	rescued := h.Deployment + "-rescued"
	labels := map[string]string{"app": rescued}
	live := h.deployment(bluegreen.Environment(h.service().Spec.Selector[labelEnvironment]))
	copied := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: rescued}, Spec: live.Spec}
	copied.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
	copied.Spec.Template.Labels = labels
	deployments, services := h.api.Deployments(h.Namespace), h.api.Services(h.Namespace)
	_, err := deployments.Create(t.Context(), copied, metav1.CreateOptions{})
	h.must(err)
	session := h.session()
	pods := session.Pods(labels)
	h.must(session.Await(t.Context(), func() (bool, time.Duration, error) {
		found, err := pods.Items()
		return len(found) == 1 && !slices.ContainsFunc(found, isNotReady), 0, err
	}))
	h.replaceService(func(s *corev1.Service) {
		s.Spec.Selector = labels
		for _, name := range []string{"ledger", "history", "left-by-traffic", "adopted", "route"} {
			delete(s.Annotations, cluster.FieldManager+"/"+name)
		}
		delete(s.Labels, labelDeployment)
	})
	endpointSlices := session.EndpointSlices(h.Deployment)
	h.must(session.Await(t.Context(), func() (bool, time.Duration, error) {
		found, err := endpointSlices.Items()
		if err != nil {
			return false, 0, err
		}
		selected, err := pods.Items()
		return endpointMismatch(found, selected) == "", 0, err
	}))
	for _, env := range bluegreen.Environments() {
		h.must(deployments.Delete(t.Context(), workloadName(h.Deployment, env), metav1.DeleteOptions{}))
	}
	h.must(services.Delete(t.Context(), previewName(h.Deployment), metav1.DeleteOptions{}))

	options := h.platform.opts
	options.Adopt = true
	adopting := openHarness(t, sharedCluster.client, options)
	_, err = adopting.Create(t.Context(), adopting.desired("3.0.0", 1))
	h.must(err)
	clients.awaitAnswer("3.0.0")
	h.must(h.Rollback(t.Context(), "to see"))
	clients.awaitAnswer("2.0.0")
	clients.requireNoFailures()
}
