// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// What cannot start ends the deploy at once, and says what it is. Were it waited
// for, each of these would take an hour.
func TestClusterDeployThatCannotStart(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		template string
		image    string
		want     StartError
		says     string
	}{
		"never-pull": {
			template: `{"spec":{"containers":[{"name":"NAME","imagePullPolicy":"Never"}]}}`, image: "docker.io/library/nowhere:1",
			want: StartError{Container: "NAME", Reason: "ErrImageNeverPull"}, says: "nowhere:1",
		},
		"no-secret": {
			template: `{"spec":{"containers":[{"name":"NAME","env":[{"name":"P","valueFrom":{"secretKeyRef":{"name":"absent","key":"p"}}}]}]}}`,
			want:     StartError{Container: "NAME", Reason: "CreateContainerConfigError"}, says: `secret "absent" not found`,
		},
		"init": {
			template: `{"spec":{"initContainers":[{"name":"migrate","image":"IMAGE","env":[{"name":"BEHAVIOUR","value":"crashing"}]}]}}`,
			want:     StartError{Container: "migrate", Reason: "CrashLoopBackOff", Exit: "exit status 3"}, says: "after exit status 3",
		},
		"no-volume": {
			template: `{"spec":{"volumes":[{"name":"keys","secret":{"secretName":"absent"}}],"containers":[{"name":"NAME","volumeMounts":[{"name":"keys","mountPath":"/keys"}]}]}}`,
			want:     StartError{Container: "NAME", Reason: "FailedMount"}, says: `secret "absent" not found`,
		},
		"no-node": {
			template: `{"spec":{"nodeSelector":{"planet":"mars"}}}`,
			want:     StartError{Reason: "Unschedulable"}, says: "0/1 nodes are available",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, func(o *Options) {
				o.Name = "start-" + name
				o.PodTemplate = strings.NewReplacer("NAME", o.Name, "IMAGE", theTestbed.replicaImage(t)).Replace(c.template)
				o.SchedulingGrace = time.Second
			})
			want := s.desired("1.0.0", 1)
			if c.image != "" {
				want.Release.Image = c.image
			}
			_, err := s.Create(t.Context(), want)
			var got *StartError
			if !errors.As(err, &got) {
				t.Fatalf("got %v, want a StartError", err)
			}
			c.want.Container = strings.Replace(c.want.Container, "NAME", s.Deployment, 1)
			if got.Container != c.want.Container || got.Reason != c.want.Reason || got.Exit != c.want.Exit || got.Pod == "" || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %+v: %v", got, err)
			}
			if c.want.Exit != "" && !strings.Contains(strings.Join(got.Logs, "\n"), "cannot go on") {
				t.Errorf("its last words are %q", got.Logs)
			}
			if _, err := s.platform.Load(t.Context()); !errors.Is(err, bluegreen.ErrNotFound) {
				t.Errorf("something is left of it: %v", err)
			}
		})
	}
}

// A sidecar that cannot start ends the health check at once, too, by its name.
func TestClusterSidecarThatCannotStart(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *Options) {
		o.PodTemplate = `{"spec":{"containers":[{"name":"proxy","image":"docker.io/library/nowhere:1","imagePullPolicy":"Never"}]}}`
	})
	_, err := s.Create(t.Context(), s.desired("1.0.0", 1))
	if !errors.Is(err, bluegreen.HealthCheckFailed) || !strings.Contains(err.Error(), `container "proxy": ErrImageNeverPull`) {
		t.Errorf("got %v", err)
	}
}

// Nobody waits for the pods of a Deployment that somebody removed meanwhile.
func TestClusterDeploymentIsRemovedWhileItStarts(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *Options) { o.PodTemplate = `{"spec":{"nodeSelector":{"planet":"mars"}}}` })
	watching := s.platform.newSession(t.Context(), s.api)
	defer watching.end()
	seen := watching.watch(s.platform.opts.workload(bluegreen.Green))
	removed := make(chan error, 1)
	go func() {
		err := watching.bell.await(t.Context(), func() (bool, time.Duration, error) {
			found, err := seen.deployment()
			return found != nil, 0, err
		})
		if err == nil {
			err = s.api.deployments(s.namespace).Delete(t.Context(), seen.workload.deployment, metav1.DeleteOptions{})
		}
		removed <- err
	}()
	if _, err := s.Create(t.Context(), s.desired("1.0.0", 1)); err == nil || !strings.Contains(err.Error(), "was removed while its pods started") {
		t.Errorf("got %v", err)
	}
	s.must(<-removed)
}

func TestClusterQuotaEndsADeploy(t *testing.T) {
	t.Parallel()
	s := newShop(t, inQuota(t, "none", 0))
	_, err := s.Create(t.Context(), s.desired("1.0.0", 1))
	var refused *StartError
	if !errors.As(err, &refused) || refused.Reason != "FailedCreate" || !strings.Contains(err.Error(), "exceeded quota: none") {
		t.Errorf("got %v", err)
	}
}

// Pods that make room for a release count until they have ended.
func TestClusterQuotaThatIsJustEnough(t *testing.T) {
	t.Parallel()
	s := newShop(t, inQuota(t, "two", 2))
	for _, version := range []string{"1.0.0", "2.0.0", "3.0.0"} {
		s.live(version, 1)
		status, err := s.Status(t.Context())
		s.must(err)
		if env := status.Ledger.Live; status.Ledger.Slot(env).Release.Version != version || status.Running[env] != 1 {
			t.Errorf("%s is not what serves: %+v", version, status)
		}
	}
}

// inQuota puts a deployment in a namespace that may have so many pods.
func inQuota(t *testing.T, name string, pods int64) func(*Options) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: theTestbed.namespace + "-" + name}}
	t.Cleanup(makeNamespace(t, namespace))
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: *resource.NewQuantity(pods, resource.DecimalSI)}},
	}
	if _, err := theTestbed.core.ResourceQuotas(namespace.Name).Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return func(o *Options) { o.Namespace = namespace.Name }
}

func TestClusterNamespaceThatIsNotThere(t *testing.T) {
	t.Parallel()
	s := openShop(t, theTestbed.client, Options{Namespace: "nowhere", Name: "web", PodSettings: PodSettings{Port: replicaPort}})
	_, err := s.Create(t.Context(), s.desired("1.0.0", 1))
	var option *OptionError
	if !errors.As(err, &option) || option.Option != "namespace" || !strings.Contains(err.Error(), `no namespace "nowhere"`) {
		t.Errorf("got %v", err)
	}
}

// theirs makes a Service as somebody else does. untouched takes it away, and fails
// the test unless it is as it was.
func (s *shop) theirs(name string) (untouched func()) {
	s.Helper()
	services := s.api.services(s.namespace)
	made, err := services.Create(s.Context(), foreignService(name, 80), metav1.CreateOptions{})
	s.must(err)
	return func() {
		s.Helper()
		now, err := services.Get(s.Context(), name, metav1.GetOptions{})
		s.must(err)
		if now.ResourceVersion != made.ResourceVersion {
			s.Errorf("the Service %s was changed", name)
		}
		s.must(services.Delete(s.Context(), name, metav1.DeleteOptions{}))
	}
}

// What somebody else made is left alone.
func TestClusterForeignObjects(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	services, deployments := s.api.services(s.namespace), s.api.deployments(s.namespace)

	untouched := s.theirs(s.Deployment)
	var foreign *ForeignError
	if _, err := s.Create(t.Context(), s.desired("1.0.0", 1)); !errors.As(err, &foreign) || !strings.Contains(foreign.Object, "Service") {
		t.Errorf("got %v", err)
	}
	untouched()

	untouched = s.theirs(previewName(s.Deployment))
	if _, err := s.Create(t.Context(), s.desired("1.0.0", 1)); !errors.As(err, &foreign) || !strings.Contains(foreign.Object, previewName(s.Deployment)) {
		t.Errorf("got %v", err)
	}
	untouched()
	if _, err := services.Get(t.Context(), s.Deployment, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("something was made: %v", err)
	}

	deployment, err := deployments.Create(t.Context(), foreignDeployment(s.Deployment+"-green", s.replicaImage(t), 0), metav1.CreateOptions{})
	s.must(err)
	if _, err := s.Create(t.Context(), s.desired("1.0.0", 1)); !errors.As(err, &foreign) || !strings.Contains(foreign.Object, "Deployment") {
		t.Errorf("got %v", err)
	}
	kept, err := deployments.Get(t.Context(), deployment.Name, metav1.GetOptions{})
	s.must(err)
	if kept.UID != deployment.UID || kept.Generation != deployment.Generation {
		t.Error("the Deployment was changed")
	}
	s.must(deployments.Delete(t.Context(), deployment.Name, metav1.DeleteOptions{}))
}

// A Service that somebody put in the place of the preview outlives the deployment.
func TestClusterForeignPreviewStays(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.live("1.0.0", 1)
	s.live("2.0.0", 1)
	services := s.api.services(s.namespace)
	s.must(services.Delete(t.Context(), previewName(s.Deployment), metav1.DeleteOptions{}))
	untouched := s.theirs(previewName(s.Deployment))
	var foreign *ForeignError
	if err := s.apply(s.desired("3.0.0", 1)); !errors.As(err, &foreign) {
		t.Errorf("got %v", err)
	}
	s.serves("2.0.0")
	s.must(s.Rollback(t.Context(), "nothing is in its way"))
	s.serves("1.0.0")
	s.must(s.Destroy(t.Context()))
	if _, err := services.Get(t.Context(), s.Deployment, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the deployment's own Service: %v", err)
	}
	untouched()
}

// A ledger for which there is no room is refused before anything is touched.
func TestClusterLedgerWithoutRoom(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.live("1.0.0", 1)
	service, err := s.api.services(s.namespace).Get(t.Context(), s.Deployment, metav1.GetOptions{})
	s.must(err)
	room := maxAnnotations - len("manual")
	for key, value := range service.Annotations {
		room -= len(key) + len(value)
	}
	s.patchService(fmt.Sprintf(`{"metadata":{"annotations":{"manual":%q}}}`, strings.Repeat("x", room)))
	before, err := s.platform.Load(t.Context())
	s.must(err)
	var size *SizeError
	if err := s.apply(s.desired("2.0.0", 2)); !errors.As(err, &size) {
		t.Errorf("got %v", err)
	}
	after, err := s.platform.Load(t.Context())
	s.must(err)
	if after.Generation != before.Generation || len(s.podsOf(bluegreen.Blue)) > 0 {
		t.Error("something was touched")
	}
	s.serves("1.0.0")
	s.patchService(`{"metadata":{"annotations":{"manual":null}}}`)
	s.live("2.0.0", 1)
	s.serves("2.0.0")
}

// An import knows neither the port nor anything else of what it takes over.
func TestClusterImportKnowsNoPort(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.live("1.0.0", 1)
	imported := openShop(t, s.client, Options{Namespace: s.namespace, Name: s.Deployment})
	status, err := imported.Status(t.Context())
	s.must(err)
	want, err := s.Status(t.Context())
	s.must(err)
	if status.Endpoint != want.Endpoint || status.Preview != want.Preview || status.Running[bluegreen.Green] != 1 {
		t.Errorf("an import finds %+v, want %+v", status, want)
	}
	s.must(imported.Destroy(t.Context()))
}
