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
)

// held gives the Service a finalizer, as a load balancer does, which release takes
// away again.
func (s *shop) held() (release func()) {
	s.Helper()
	release = func() {
		_, err := s.api.services(s.namespace).Patch(context.WithoutCancel(s.Context()), s.Deployment, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			s.Errorf("removing the finalizer of the test: %v", err)
		}
	}
	s.Cleanup(release)
	s.patchService(`{"metadata":{"finalizers":["example.com/held"]}}`)
	return release
}

// awaitService returns once the Service, nil for none, is as it should be.
func (s *shop) awaitService(is func(*corev1.Service) bool) *corev1.Service {
	s.Helper()
	watching := s.platform.newSession(s.Context(), s.api)
	defer watching.end()
	services := s.core.Services(s.namespace)
	seen := follow(watching.ctx, &watching.running, source[*corev1.Service]{
		options: metav1.ListOptions{FieldSelector: "metadata.name=" + s.Deployment},
		list:    listing(services.List, func(found *corev1.ServiceList) []corev1.Service { return found.Items }),
		watch:   services.Watch,
	}, watching.bell)
	var last *corev1.Service
	s.must(watching.bell.await(s.Context(), func() (bool, time.Duration, error) {
		found, err := seen.current()
		if err != nil {
			return false, 0, err
		}
		if last = nil; len(found) > 0 {
			last = found[0]
		}
		return is(last), 0, nil
	}))
	return last
}

func isServiceLeaving(service *corev1.Service) bool {
	return service != nil && service.DeletionTimestamp != nil
}

// A destruction ends when the Service is gone, however often it is begun; and what
// is made afterwards is not made of what is about to go.
func TestClusterDestroyWaitsForTheService(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.live("1.0.0", 1)
	release := s.held()
	ctx, interrupt := context.WithCancel(t.Context())
	destroyed := make(chan error)
	go func() { destroyed <- s.Destroy(ctx) }()
	s.awaitService(isServiceLeaving)
	interrupt()
	var held *LeavingError
	if err := <-destroyed; !errors.Is(err, bluegreen.Interrupted) {
		t.Errorf("an interrupted destruction ends with %v", err)
	}

	status, err := s.Status(t.Context())
	s.must(err)
	if !status.Ledger.Destroying || status.Ledger.IsServing() {
		t.Errorf("half destroyed, it is said to be %+v", status.Ledger)
	}
	unlock, err := s.platform.Lock(t.Context(), s.Actor)
	s.must(err)
	next := status.Ledger
	next.Generation++
	if err := s.platform.Commit(t.Context(), next, nil); !errors.As(err, &held) || !strings.Contains(err.Error(), "example.com/held") {
		t.Errorf("a commit to what is about to go: %v", err)
	}
	unlock()

	former := s.awaitService(isServiceLeaving)
	client, net := throughNetwork(t)
	again := openShop(t, client, s.platform.opts)
	erasing := net.catch(false, func(r *http.Request) bool {
		return r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, "/services/"+s.Deployment)
	})
	created := make(chan error)
	go func() {
		_, err := again.Create(t.Context(), s.desired("2.0.0", 1))
		created <- err
	}()
	<-erasing
	net.heal()
	release()
	s.must(<-created)
	s.serves("2.0.0")
	if now := s.awaitService(func(now *corev1.Service) bool { return now != nil }); now.UID == former.UID || isServiceLeaving(now) {
		t.Error("it was made of what was about to go")
	}
	s.must(s.Destroy(t.Context()))
	s.nothingLeft()
}

// What somebody removes by hand is not written to any more, and not taken for what
// serves.
func TestClusterServiceThatSomebodyRemoves(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.live("1.0.0", 1)
	planned, err := s.platform.Load(t.Context())
	s.must(err)
	release := s.held()
	s.must(s.api.services(s.namespace).Delete(t.Context(), s.Deployment, metav1.DeleteOptions{}))
	former := s.awaitService(isServiceLeaving)
	var held *LeavingError
	if _, err := s.Apply(t.Context(), planned, s.desired("2.0.0", 1)); !errors.As(err, &held) {
		t.Errorf("an apply: %v", err)
	}
	if _, err := s.Status(t.Context()); !errors.As(err, &held) {
		t.Errorf("a refresh: %v", err)
	}
	if now := s.awaitService(isServiceLeaving); now.ResourceVersion != former.ResourceVersion {
		t.Error("it was written to")
	}
	release()
	s.awaitService(func(now *corev1.Service) bool { return now == nil })
	_, err = s.Create(t.Context(), s.desired("2.0.0", 1))
	s.must(err)
	s.serves("2.0.0")
}

// A Deployment of live that somebody removes is replaced once it is gone, and not
// written to before: that would be lost with it.
func TestClusterDeploymentThatSomebodyRemoves(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.live("1.0.0", 1)
	s.patchDeployment(bluegreen.Green, `{"metadata":{"finalizers":["example.com/held"]}}`)
	release := func() { s.patchDeployment(bluegreen.Green, `{"metadata":{"finalizers":null}}`) }
	s.must(s.api.deployments(s.namespace).Delete(t.Context(), workloadName(s.Deployment, bluegreen.Green), metav1.DeleteOptions{}))

	unlock, err := s.platform.Lock(t.Context(), s.Actor)
	s.must(err)
	session, err := s.platform.changing(t.Context())
	s.must(err)
	seen := session.watch(s.platform.opts.workload(bluegreen.Green))
	s.must(session.awaitDeployment(t.Context(), seen, isLeaving))
	former, err := seen.deployment()
	s.must(err)
	_, err = s.platform.Load(t.Context())
	s.must(err)
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	var held *LeavingError
	if err := s.platform.Scale(impatient, bluegreen.Green, 1); !errors.As(err, &held) || !strings.Contains(err.Error(), "example.com/held") {
		t.Errorf("scaling what is about to go: %v", err)
	}
	now, err := seen.deployment()
	s.must(err)
	if now.ResourceVersion != former.ResourceVersion {
		t.Error("it was written to")
	}
	release()
	if err := s.platform.Scale(t.Context(), bluegreen.Green, 1); !errors.Is(err, bluegreen.ErrNotProvisioned) {
		t.Errorf("scaling what has gone: %v", err)
	}
	unlock()
	s.must(s.apply(s.desired("1.0.0", 1)))
	s.serves("1.0.0")
}
