// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// createUnmanagedService creates a Service without our labels. requireUnchanged
// deletes it, and fails the test unless it is as it was.
func (h *harness) createUnmanagedService(name string) (requireUnchanged func()) {
	h.Helper()
	services := h.api.Services(h.Namespace)
	created, err := services.Create(h.Context(), unmanagedService(name, 80), metav1.CreateOptions{})
	h.must(err)
	return func() {
		h.Helper()
		now, err := services.Get(h.Context(), name, metav1.GetOptions{})
		h.must(err)
		if now.ResourceVersion != created.ResourceVersion {
			h.Errorf("the Service %s was changed", name)
		}
		h.must(services.Delete(h.Context(), name, metav1.DeleteOptions{}))
	}
}

// Unmanaged objects that have our names are not changed.
func TestClusterUnmanagedObjects(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	services, deployments := h.api.Services(h.Namespace), h.api.Deployments(h.Namespace)
	requireRefused := func(object string) {
		t.Helper()
		var refused *notManagedError
		_, err := h.Create(t.Context(), h.desired("1.0.0", 1))
		if !errors.As(err, &refused) || !strings.Contains(refused.Object, object) {
			t.Errorf("got %v, want an error about %s", err, object)
		}
	}

	requireUnchanged := h.createUnmanagedService(h.Deployment)
	requireRefused("Service")
	requireUnchanged()

	requireUnchanged = h.createUnmanagedService(previewName(h.Deployment))
	requireRefused(previewName(h.Deployment))
	requireUnchanged()
	if _, err := services.Get(t.Context(), h.Deployment, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("something was created: %v", err)
	}

	unmanaged := unmanagedDeployment(h.Deployment+"-green", h.Image(h), 0)
	deployment, err := deployments.Create(t.Context(), unmanaged, metav1.CreateOptions{})
	h.must(err)
	requireRefused("Deployment")
	kept, err := deployments.Get(t.Context(), deployment.Name, metav1.GetOptions{})
	h.must(err)
	if kept.UID != deployment.UID || kept.Generation != deployment.Generation {
		t.Error("the Deployment was changed")
	}
	h.must(deployments.Delete(t.Context(), deployment.Name, metav1.DeleteOptions{}))
}

// An unmanaged Service with the name of the preview outlives the deployment.
func TestClusterUnmanagedPreviewStays(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.makeLive("1.0.0", 1)
	h.makeLive("2.0.0", 1)
	services := h.api.Services(h.Namespace)
	h.must(services.Delete(t.Context(), previewName(h.Deployment), metav1.DeleteOptions{}))
	requireUnchanged := h.createUnmanagedService(previewName(h.Deployment))
	var refused *notManagedError
	if err := h.apply(h.desired("3.0.0", 1)); !errors.As(err, &refused) {
		t.Errorf("got %v", err)
	}
	h.requireServes("2.0.0")
	h.must(h.Rollback(t.Context(), "nothing is in its way"))
	h.requireServes("1.0.0")
	h.must(h.Destroy(t.Context()))
	if _, err := services.Get(t.Context(), h.Deployment, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the deployment's own Service: %v", err)
	}
	requireUnchanged()
}
