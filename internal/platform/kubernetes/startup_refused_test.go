// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// A pod that cannot start ends the deploy at once with an error that names the reason.
// Waiting for it would take until the timeout, an hour.
func TestClusterDeployThatCannotStart(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		template string
		image    string
		want     StartError
		says     string
	}{
		"never-pull": {
			template: `{"spec":{"containers":[{"name":"NAME","imagePullPolicy":"Never"}]}}`,
			image:    "docker.io/library/nowhere:1",
			want:     StartError{Container: "NAME", Reason: "ErrImageNeverPull"}, says: "nowhere:1",
		},
		"no-secret": {
			template: `{"spec":{"containers":[
				{"name":"NAME","env":[{"name":"P","valueFrom":{"secretKeyRef":{"name":"absent","key":"p"}}}]}]}}`,
			want: StartError{Container: "NAME", Reason: "CreateContainerConfigError"},
			says: `secret "absent" not found`,
		},
		"init": {
			template: `{"spec":{"initContainers":[
				{"name":"migrate","image":"IMAGE","env":[{"name":"BEHAVIOUR","value":"crashing"}]}]}}`,
			want: StartError{Container: "migrate", Reason: "CrashLoopBackOff", Exit: "exit status 3"},
			says: "after exit status 3",
		},
		"no-volume": {
			template: `{"spec":{"volumes":[{"name":"keys","secret":{"secretName":"absent"}}],"containers":[
				{"name":"NAME","volumeMounts":[{"name":"keys","mountPath":"/keys"}]}]}}`,
			want: StartError{Container: "NAME", Reason: "FailedMount"}, says: `secret "absent" not found`,
		},
		"no-node": {
			template: `{"spec":{"nodeSelector":{"planet":"mars"}}}`,
			want:     StartError{Reason: "Unschedulable"}, says: "0/1 nodes are available",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, func(o *Options) {
				o.Name = "start-" + name
				o.PodTemplate = strings.NewReplacer("NAME", o.Name, "IMAGE", sharedCluster.Image(t)).Replace(c.template)
				o.SchedulingGrace = time.Second
			})
			want := h.desired("1.0.0", 1)
			if c.image != "" {
				want.Release.Image = c.image
			}
			_, err := h.Create(t.Context(), want)
			var got *StartError
			if !errors.As(err, &got) {
				t.Fatalf("got %v, want a StartError", err)
			}
			c.want.Container = strings.Replace(c.want.Container, "NAME", h.Deployment, 1)
			isAsWanted := got.Container == c.want.Container && got.Reason == c.want.Reason && got.Exit == c.want.Exit
			if !isAsWanted || got.Pod == "" || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %+v: %v", got, err)
			}
			if c.want.Exit != "" && !strings.Contains(strings.Join(got.Logs, "\n"), "cannot go on") {
				t.Errorf("its logs are %q", got.Logs)
			}
			if _, err := h.platform.Load(t.Context()); !errors.Is(err, bluegreen.ErrNotFound) {
				t.Errorf("something is left of it: %v", err)
			}
		})
	}
}

// A sidecar that cannot start ends the health check at once, with the sidecar's name.
func TestClusterSidecarThatCannotStart(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(o *Options) {
		o.PodTemplate = `{"spec":{"containers":[
			{"name":"proxy","image":"docker.io/library/nowhere:1","imagePullPolicy":"Never"}]}}`
	})
	_, err := h.Create(t.Context(), h.desired("1.0.0", 1))
	const reason = `container "proxy": ErrImageNeverPull`
	if !errors.Is(err, bluegreen.HealthCheckFailed) || !strings.Contains(err.Error(), reason) {
		t.Errorf("got %v", err)
	}
}

// The wait for the pods of a Deployment ends when the Deployment is deleted.
func TestClusterDeploymentIsRemovedWhileItStarts(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(o *Options) { o.PodTemplate = `{"spec":{"nodeSelector":{"planet":"mars"}}}` })
	informers := h.informers(bluegreen.Green)
	deleted := make(chan error, 1)
	go func() {
		err := informers.session.Await(t.Context(), func() (bool, time.Duration, error) {
			found, err := informers.deployment()
			return found != nil, 0, err
		})
		if err == nil {
			name := informers.workload.deployment
			err = h.api.Deployments(h.Namespace).Delete(t.Context(), name, metav1.DeleteOptions{})
		}
		deleted <- err
	}()
	_, err := h.Create(t.Context(), h.desired("1.0.0", 1))
	if err == nil || !strings.Contains(err.Error(), "was removed while its pods were starting") {
		t.Errorf("got %v", err)
	}
	h.must(<-deleted)
}

func TestClusterQuotaEndsADeploy(t *testing.T) {
	t.Parallel()
	h := newHarness(t, inQuota(t, "none", 0))
	_, err := h.Create(t.Context(), h.desired("1.0.0", 1))
	var refused *StartError
	isRefused := errors.As(err, &refused) && refused.Reason == "FailedCreate"
	if !isRefused || !strings.Contains(err.Error(), "exceeded quota: none") {
		t.Errorf("got %v", err)
	}
}

// Pods that make room for a release count in the quota until they have ended.
func TestClusterQuotaThatIsJustEnough(t *testing.T) {
	t.Parallel()
	h := newHarness(t, inQuota(t, "two", 2))
	for _, version := range []string{"1.0.0", "2.0.0", "3.0.0"} {
		h.makeLive(version, 1)
		status, err := h.Status(t.Context())
		h.must(err)
		if env := status.Ledger.Live; status.Ledger.Slot(env).Release.Version != version || status.Running[env] != 1 {
			t.Errorf("%s is not what serves: %+v", version, status)
		}
	}
}

// inQuota puts a deployment in a namespace of its own that may have this many pods.
func inQuota(t *testing.T, name string, pods int64) func(*Options) {
	t.Helper()
	namespace := sharedCluster.Namespace + "-" + name
	sharedCluster.CreateNamespace(t, namespace)
	limits := corev1.ResourceList{corev1.ResourcePods: *resource.NewQuantity(pods, resource.DecimalSI)}
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ResourceQuotaSpec{Hard: limits},
	}
	quotas := sharedCluster.Core.ResourceQuotas(namespace)
	if _, err := quotas.Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return func(o *Options) { o.Namespace = namespace }
}
