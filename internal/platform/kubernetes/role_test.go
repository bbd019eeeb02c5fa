// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientv1 "k8s.io/client-go/kubernetes/typed/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// limitedClient is that of a user who may do nothing but what a test grants.
func limitedClient(t *testing.T) *Client {
	client := NewClient(ClientConfig{ConfigPaths: []string{sharedCluster.LimitedKubeconfig()}})
	t.Cleanup(client.Close)
	return client
}

// exampleRole is the Role of the examples, and its RoleBinding.
func exampleRole(t *testing.T) (role rbacv1.Role, binding rbacv1.RoleBinding) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "..", "examples", "kubernetes", "role.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(content), "\n---\n")
	if len(parts) != 2 {
		t.Fatalf("the example has %d objects", len(parts))
	}
	for i, object := range []any{&role, &binding} {
		if err := yaml.UnmarshalStrict([]byte(parts[i]), object); err != nil {
			t.Fatal(err)
		}
	}
	role.Namespace, binding.Namespace = sharedCluster.Namespace, sharedCluster.Namespace
	return role, binding
}

// grant gives the limited user the role for the rest of the test.
func grant(t *testing.T, role rbacv1.Role, binding rbacv1.RoleBinding) {
	t.Helper()
	api, err := clientv1.NewForConfigAndClient(sharedCluster.Config, sharedCluster.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.Roles(role.Namespace).Create(t.Context(), &role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := api.RoleBindings(binding.Namespace).Create(t.Context(), &binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := api.RoleBindings(binding.Namespace).Delete(ctx, binding.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
		if err := api.Roles(role.Namespace).Delete(ctx, role.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
}

// The Role of the examples is enough for the whole life of a deployment.
func TestClusterRole(t *testing.T) {
	t.Parallel()
	h := newHarnessWithClient(t, limitedClient(t), func(o *Options) { o.RecycleStandby = true })
	_, err := h.Create(t.Context(), h.desired("1.0.0", 1))
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `cannot get resource "leases"`) {
		t.Errorf("without a role: %v, want the missing verb and resource", err)
	}
	role, binding := exampleRole(t)
	grant(t, role, binding)

	h.makeLive("1.0.0", 2)
	h.makeLive("2.0.0", 2)
	h.makeLive("2.0.0", 1)
	for _, instance := range h.instances(bluegreen.Blue) {
		h.must(h.platform.Exec(t.Context(), instance, []string{"true"}))
		if _, err := h.platform.Logs(t.Context(), instance, 1); err != nil {
			t.Error(err)
		}
	}
	h.must(h.Rollback(t.Context(), "to see"))
	if _, err := h.Status(t.Context()); err != nil {
		t.Error(err)
	}
	h.requireServes("1.0.0")
	h.requireEvents("Deploying", "Deployed", "Healthy", "Switched", "Watched", "Scaled", "RolledBack")
	h.must(h.Destroy(t.Context()))
	h.requireNothingLeft()
}
