// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// addFinalizer gives the Service a finalizer, as a load balancer does. release removes
// it.
func (h *harness) addFinalizer() (release func()) {
	h.Helper()
	release = func() {
		ctx := context.WithoutCancel(h.Context())
		_, err := h.api.Services(h.Namespace).Patch(ctx, h.Deployment, types.MergePatchType,
			[]byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			h.Errorf("removing the finalizer of the test: %v", err)
		}
	}
	h.Cleanup(release)
	h.patchService(`{"metadata":{"finalizers":["example.com/held"]}}`)
	return release
}

// awaitService returns the Service once isDone accepts it, which is nil if there is none.
func (h *harness) awaitService(isDone func(*corev1.Service) bool) *corev1.Service {
	h.Helper()
	session := h.session()
	informer := cluster.StartInformer(session, h.serviceSource())
	var last *corev1.Service
	h.must(session.Await(h.Context(), func() (bool, time.Duration, error) {
		found, err := informer.Items()
		if err != nil {
			return false, 0, err
		}
		if last = nil; len(found) > 0 {
			last = found[0]
		}
		return isDone(last), 0, nil
	}))
	return last
}

func isServiceBeingDeleted(service *corev1.Service) bool {
	return service != nil && service.DeletionTimestamp != nil
}

// A destroy ends when the Service is gone, however often it is started. What is created
// afterwards is a new Service.
func TestClusterDestroyWaitsForTheService(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.makeLive("1.0.0", 1)
	release := h.addFinalizer()
	ctx, interrupt := context.WithCancel(t.Context())
	destroyed := make(chan error)
	go func() { destroyed <- h.Destroy(ctx) }()
	h.awaitService(isServiceBeingDeleted)
	interrupt()
	var held *beingDeletedError
	if err := <-destroyed; !errors.Is(err, bluegreen.Interrupted) {
		t.Errorf("an interrupted destroy ends with %v", err)
	}

	status, err := h.Status(t.Context())
	h.must(err)
	if !status.Ledger.Destroying || status.Ledger.IsServing() {
		t.Errorf("half destroyed, the ledger is %+v", status.Ledger)
	}
	unlock, err := h.platform.Lock(t.Context(), h.Actor)
	h.must(err)
	next := status.Ledger
	next.Generation++
	err = h.platform.Commit(t.Context(), next, nil)
	if !errors.As(err, &held) || !strings.Contains(err.Error(), "example.com/held") {
		t.Errorf("a commit to a Service that is being deleted: %v", err)
	}
	unlock()

	former := h.awaitService(isServiceBeingDeleted)
	client, fault := newFaultyClient(t)
	again := openHarness(t, client, h.platform.opts)
	erasing := fault.intercept(false, func(r *http.Request) bool {
		return r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, "/services/"+h.Deployment)
	})
	created := make(chan error)
	go func() {
		_, err := again.Create(t.Context(), h.desired("2.0.0", 1))
		created <- err
	}()
	<-erasing
	fault.restore()
	release()
	h.must(<-created)
	h.requireServes("2.0.0")
	now := h.awaitService(func(now *corev1.Service) bool { return now != nil })
	if now.UID == former.UID || isServiceBeingDeleted(now) {
		t.Error("the Service that was being deleted is the new one")
	}
	h.must(h.Destroy(t.Context()))
	h.requireNothingLeft()
}

// A Service that is deleted by hand is not written to any more, and does not count as
// serving.
func TestClusterServiceDeletedByHand(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.makeLive("1.0.0", 1)
	planned, err := h.platform.Load(t.Context())
	h.must(err)
	release := h.addFinalizer()
	h.must(h.api.Services(h.Namespace).Delete(t.Context(), h.Deployment, metav1.DeleteOptions{}))
	former := h.awaitService(isServiceBeingDeleted)
	var held *beingDeletedError
	if _, err := h.Apply(t.Context(), planned, h.desired("2.0.0", 1)); !errors.As(err, &held) {
		t.Errorf("an apply: %v", err)
	}
	if _, err := h.Status(t.Context()); !errors.As(err, &held) {
		t.Errorf("a refresh: %v", err)
	}
	if now := h.awaitService(isServiceBeingDeleted); now.ResourceVersion != former.ResourceVersion {
		t.Error("it was written to")
	}
	release()
	h.awaitService(func(now *corev1.Service) bool { return now == nil })
	_, err = h.Create(t.Context(), h.desired("2.0.0", 1))
	h.must(err)
	h.requireServes("2.0.0")
}

// A Deployment of live that is deleted by hand is replaced once it is gone, and not written
// to before: that would be lost with it.
func TestClusterDeploymentDeletedByHand(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.makeLive("1.0.0", 1)
	h.patchDeployment(bluegreen.Green, `{"metadata":{"finalizers":["example.com/held"]}}`)
	release := func() { h.patchDeployment(bluegreen.Green, `{"metadata":{"finalizers":null}}`) }
	name := workloadName(h.Deployment, bluegreen.Green)
	h.must(h.api.Deployments(h.Namespace).Delete(t.Context(), name, metav1.DeleteOptions{}))

	unlock, err := h.platform.Lock(t.Context(), h.Actor)
	h.must(err)
	run, err := h.platform.requireLock(t.Context())
	h.must(err)
	informers := informersFor(run.Session, h.platform.opts.managedWorkload(bluegreen.Green))
	h.must(informers.awaitDeployment(t.Context(), isBeingDeleted))
	former, err := informers.deployment()
	h.must(err)
	_, err = h.platform.Load(t.Context())
	h.must(err)
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	var held *beingDeletedError
	err = h.platform.Scale(impatient, bluegreen.Green, 2)
	if !errors.As(err, &held) || !strings.Contains(err.Error(), "example.com/held") {
		t.Errorf("scaling a Deployment that is being deleted: %v", err)
	}
	// Its controller still writes its status, and with it the resourceVersion.
	if now := h.deployment(bluegreen.Green); now.Generation != former.Generation {
		t.Error("it was written to")
	}
	release()
	if err := h.platform.Scale(t.Context(), bluegreen.Green, 1); !errors.Is(err, bluegreen.ErrNotProvisioned) {
		t.Errorf("scaling a Deployment that is gone: %v", err)
	}
	unlock()
	h.must(h.apply(h.desired("1.0.0", 1)))
	h.requireServes("1.0.0")
}
