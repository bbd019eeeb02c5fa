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
func (s *harness) addFinalizer() (release func()) {
	s.Helper()
	release = func() {
		ctx := context.WithoutCancel(s.Context())
		_, err := s.api.Services(s.Namespace).Patch(ctx, s.Deployment, types.MergePatchType,
			[]byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			s.Errorf("removing the finalizer of the test: %v", err)
		}
	}
	s.Cleanup(release)
	s.patchService(`{"metadata":{"finalizers":["example.com/held"]}}`)
	return release
}

// awaitService returns the Service once isDone accepts it, nil for none.
func (s *harness) awaitService(isDone func(*corev1.Service) bool) *corev1.Service {
	s.Helper()
	session := s.session()
	informer := cluster.StartInformer(session, s.serviceSource())
	var last *corev1.Service
	s.must(session.Await(s.Context(), func() (bool, time.Duration, error) {
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
	s := newHarness(t)
	s.makeLive("1.0.0", 1)
	release := s.addFinalizer()
	ctx, interrupt := context.WithCancel(t.Context())
	destroyed := make(chan error)
	go func() { destroyed <- s.Destroy(ctx) }()
	s.awaitService(isServiceBeingDeleted)
	interrupt()
	var held *BeingDeletedError
	if err := <-destroyed; !errors.Is(err, bluegreen.Interrupted) {
		t.Errorf("an interrupted destroy ends with %v", err)
	}

	status, err := s.Status(t.Context())
	s.must(err)
	if !status.Ledger.Destroying || status.Ledger.IsServing() {
		t.Errorf("half destroyed, the ledger is %+v", status.Ledger)
	}
	unlock, err := s.platform.Lock(t.Context(), s.Actor)
	s.must(err)
	next := status.Ledger
	next.Generation++
	err = s.platform.Commit(t.Context(), next, nil)
	if !errors.As(err, &held) || !strings.Contains(err.Error(), "example.com/held") {
		t.Errorf("a commit to a Service that is being deleted: %v", err)
	}
	unlock()

	former := s.awaitService(isServiceBeingDeleted)
	client, fault := newFaultyClient(t)
	again := openHarness(t, client, s.platform.opts)
	erasing := fault.intercept(false, func(r *http.Request) bool {
		return r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, "/services/"+s.Deployment)
	})
	created := make(chan error)
	go func() {
		_, err := again.Create(t.Context(), s.desired("2.0.0", 1))
		created <- err
	}()
	<-erasing
	fault.restore()
	release()
	s.must(<-created)
	s.requireServes("2.0.0")
	now := s.awaitService(func(now *corev1.Service) bool { return now != nil })
	if now.UID == former.UID || isServiceBeingDeleted(now) {
		t.Error("the Service that was being deleted is the new one")
	}
	s.must(s.Destroy(t.Context()))
	s.requireNothingLeft()
}

// A Service that somebody deletes is not written to any more, and is not what serves.
func TestClusterServiceThatSomebodyDeletes(t *testing.T) {
	t.Parallel()
	s := newHarness(t)
	s.makeLive("1.0.0", 1)
	planned, err := s.platform.Load(t.Context())
	s.must(err)
	release := s.addFinalizer()
	s.must(s.api.Services(s.Namespace).Delete(t.Context(), s.Deployment, metav1.DeleteOptions{}))
	former := s.awaitService(isServiceBeingDeleted)
	var held *BeingDeletedError
	if _, err := s.Apply(t.Context(), planned, s.desired("2.0.0", 1)); !errors.As(err, &held) {
		t.Errorf("an apply: %v", err)
	}
	if _, err := s.Status(t.Context()); !errors.As(err, &held) {
		t.Errorf("a refresh: %v", err)
	}
	if now := s.awaitService(isServiceBeingDeleted); now.ResourceVersion != former.ResourceVersion {
		t.Error("it was written to")
	}
	release()
	s.awaitService(func(now *corev1.Service) bool { return now == nil })
	_, err = s.Create(t.Context(), s.desired("2.0.0", 1))
	s.must(err)
	s.requireServes("2.0.0")
}

// A Deployment of live that somebody deletes is replaced once it is gone, and not written
// to before: that would be lost with it.
func TestClusterDeploymentThatSomebodyDeletes(t *testing.T) {
	t.Parallel()
	s := newHarness(t)
	s.makeLive("1.0.0", 1)
	s.patchDeployment(bluegreen.Green, `{"metadata":{"finalizers":["example.com/held"]}}`)
	release := func() { s.patchDeployment(bluegreen.Green, `{"metadata":{"finalizers":null}}`) }
	name := workloadName(s.Deployment, bluegreen.Green)
	s.must(s.api.Deployments(s.Namespace).Delete(t.Context(), name, metav1.DeleteOptions{}))

	unlock, err := s.platform.Lock(t.Context(), s.Actor)
	s.must(err)
	op, err := s.platform.requireLock(t.Context())
	s.must(err)
	informers := informersFor(op.Session, s.platform.opts.managedWorkload(bluegreen.Green))
	s.must(informers.awaitDeployment(t.Context(), isBeingDeleted))
	former, err := informers.deployment()
	s.must(err)
	_, err = s.platform.Load(t.Context())
	s.must(err)
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	var held *BeingDeletedError
	err = s.platform.Scale(impatient, bluegreen.Green, 2)
	if !errors.As(err, &held) || !strings.Contains(err.Error(), "example.com/held") {
		t.Errorf("scaling a Deployment that is being deleted: %v", err)
	}
	// Its controller still writes its status, and with it the resourceVersion.
	if now := s.deployment(bluegreen.Green); now.Generation != former.Generation {
		t.Error("it was written to")
	}
	release()
	if err := s.platform.Scale(t.Context(), bluegreen.Green, 1); !errors.Is(err, bluegreen.ErrNotProvisioned) {
		t.Errorf("scaling a Deployment that is gone: %v", err)
	}
	unlock()
	s.must(s.apply(s.desired("1.0.0", 1)))
	s.requireServes("1.0.0")
}
