// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientv1 "k8s.io/client-go/kubernetes/typed/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// limited is a user who may do nothing but what a test grants.
func limited(t *testing.T) *Client {
	client := NewClient(ClientConfig{ConfigPaths: []string{filepath.Join(theTestbed.dir, "kubeconfig-limited")}})
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
	role.Namespace, binding.Namespace = theTestbed.namespace, theTestbed.namespace
	return role, binding
}

// grant gives the limited user the role for the rest of the test.
func grant(t *testing.T, role rbacv1.Role, binding rbacv1.RoleBinding) {
	t.Helper()
	api, err := clientv1.NewForConfigAndClient(theTestbed.api.config, theTestbed.api.http)
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
	s := newShopOf(t, limited(t), func(o *Options) { o.RecycleStandby = true })
	_, err := s.Create(t.Context(), s.desired("1.0.0", 1))
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `cannot get resource "leases"`) {
		t.Errorf("without a role: %v, want the missing verb and resource", err)
	}
	role, binding := exampleRole(t)
	grant(t, role, binding)

	s.live("1.0.0", 2)
	s.live("2.0.0", 2)
	s.live("2.0.0", 1)
	for _, instance := range s.instances(bluegreen.Blue) {
		s.must(s.platform.Exec(t.Context(), instance, []string{"true"}))
		if _, err := s.platform.Logs(t.Context(), instance, 1); err != nil {
			t.Error(err)
		}
	}
	s.must(s.Rollback(t.Context(), "to see"))
	if _, err := s.Status(t.Context()); err != nil {
		t.Error(err)
	}
	s.serves("1.0.0")
	s.tells("Deploying", "Deployed", "Healthy", "Switched", "Watched", "Scaled", "RolledBack")
	s.must(s.Destroy(t.Context()))
	s.nothingLeft()
}

func (s *shop) instances(env bluegreen.Environment) []bluegreen.Instance {
	s.Helper()
	instances, err := s.platform.Instances(s.Context(), env)
	s.must(err)
	return instances
}

// tells fails the test unless the Events on the Service have all these reasons.
func (s *shop) tells(reasons ...string) {
	s.Helper()
	events, err := s.api.events(s.namespace).List(s.Context(), metav1.ListOptions{FieldSelector: "involvedObject.kind=Service,involvedObject.name=" + s.Deployment})
	s.must(err)
	var told []string
	for _, event := range events.Items {
		told = append(told, event.Reason)
	}
	for _, reason := range reasons {
		if !slices.Contains(told, reason) {
			s.Errorf("the events tell %v, and nothing of %s", told, reason)
		}
	}
}

// nothingLeft fails the test if any object of the deployment is still there.
func (s *shop) nothingLeft() {
	s.Helper()
	ours := metav1.ListOptions{LabelSelector: labelDeployment + "=" + s.Deployment}
	services, err := s.api.services(s.namespace).List(s.Context(), ours)
	s.must(err)
	deployments, err := s.api.deployments(s.namespace).List(s.Context(), ours)
	s.must(err)
	leases, err := s.api.leases(s.namespace).List(s.Context(), ours)
	s.must(err)
	if n := len(services.Items) + len(deployments.Items) + len(leases.Items); n > 0 {
		s.Errorf("%d Services, %d Deployments and %d Leases are left", len(services.Items), len(deployments.Items), len(leases.Items))
	}
}
