// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// createUnmanagedService creates a Service as somebody else would. requireUnchanged
// deletes it, and fails the test unless it is as it was.
func (s *harness) createUnmanagedService(name string) (requireUnchanged func()) {
	s.Helper()
	services := s.api.Services(s.Namespace)
	created, err := services.Create(s.Context(), unmanagedService(name, 80), metav1.CreateOptions{})
	s.must(err)
	return func() {
		s.Helper()
		now, err := services.Get(s.Context(), name, metav1.GetOptions{})
		s.must(err)
		if now.ResourceVersion != created.ResourceVersion {
			s.Errorf("the Service %s was changed", name)
		}
		s.must(services.Delete(s.Context(), name, metav1.DeleteOptions{}))
	}
}

// Objects of somebody else that have our names are not changed.
func TestClusterUnmanagedObjects(t *testing.T) {
	t.Parallel()
	s := newHarness(t)
	services, deployments := s.api.Services(s.Namespace), s.api.Deployments(s.Namespace)
	requireRefused := func(object string) {
		t.Helper()
		var refused *NotManagedError
		_, err := s.Create(t.Context(), s.desired("1.0.0", 1))
		if !errors.As(err, &refused) || !strings.Contains(refused.Object, object) {
			t.Errorf("got %v, want an error about %s", err, object)
		}
	}

	requireUnchanged := s.createUnmanagedService(s.Deployment)
	requireRefused("Service")
	requireUnchanged()

	requireUnchanged = s.createUnmanagedService(previewName(s.Deployment))
	requireRefused(previewName(s.Deployment))
	requireUnchanged()
	if _, err := services.Get(t.Context(), s.Deployment, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("something was created: %v", err)
	}

	unmanaged := unmanagedDeployment(s.Deployment+"-green", s.Image(s), 0)
	deployment, err := deployments.Create(t.Context(), unmanaged, metav1.CreateOptions{})
	s.must(err)
	requireRefused("Deployment")
	kept, err := deployments.Get(t.Context(), deployment.Name, metav1.GetOptions{})
	s.must(err)
	if kept.UID != deployment.UID || kept.Generation != deployment.Generation {
		t.Error("the Deployment was changed")
	}
	s.must(deployments.Delete(t.Context(), deployment.Name, metav1.DeleteOptions{}))
}

// A Service of somebody else with the name of the preview outlives the deployment.
func TestClusterUnmanagedPreviewStays(t *testing.T) {
	t.Parallel()
	s := newHarness(t)
	s.makeLive("1.0.0", 1)
	s.makeLive("2.0.0", 1)
	services := s.api.Services(s.Namespace)
	s.must(services.Delete(t.Context(), previewName(s.Deployment), metav1.DeleteOptions{}))
	requireUnchanged := s.createUnmanagedService(previewName(s.Deployment))
	var refused *NotManagedError
	if err := s.apply(s.desired("3.0.0", 1)); !errors.As(err, &refused) {
		t.Errorf("got %v", err)
	}
	s.requireServes("2.0.0")
	s.must(s.Rollback(t.Context(), "nothing is in its way"))
	s.requireServes("1.0.0")
	s.must(s.Destroy(t.Context()))
	if _, err := services.Get(t.Context(), s.Deployment, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the deployment's own Service: %v", err)
	}
	requireUnchanged()
}
