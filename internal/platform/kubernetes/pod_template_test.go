// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

var (
	webSettings = PodSettings{Port: 8080}
	webOptions  = Options{Namespace: "default", Name: "web", PodSettings: webSettings, DrainTimeout: 30 * time.Second}
	webRelease  = bluegreen.Release{
		Version: "1.2.0+7", Image: "web:1.2.0", Replicas: 2, Args: []string{"-v"},
		Env: map[string]string{"LEVEL": "info"}, Settings: webSettings,
	}
)

// withTemplate returns the release with a pod template of the user.
func withTemplate(release bluegreen.Release, template string) bluegreen.Release {
	release.Settings = PodSettings{Port: webSettings.Port, PodTemplate: template}
	return release
}

func rendered(t *testing.T, user string) (corev1.PodTemplateSpec, corev1.Container) {
	t.Helper()
	encoded, err := webOptions.podTemplate(bluegreen.Green, withTemplate(webRelease, user))
	if err != nil {
		t.Fatal(err)
	}
	var template corev1.PodTemplateSpec
	if err := json.Unmarshal(encoded, &template); err != nil {
		t.Fatal(err)
	}
	container := findContainer(&template, "web")
	if container == nil {
		t.Fatalf("there is no container web: %s", encoded)
	}
	return template, *container
}

func TestGeneratedPodServesTheRelease(t *testing.T) {
	t.Parallel()
	template, container := rendered(t, "")
	if container.Image != "web:1.2.0" || !slices.Equal(container.Args, []string{"-v"}) {
		t.Errorf("the container runs %s %v", container.Image, container.Args)
	}
	want := []corev1.EnvVar{
		{Name: "BLUEGREEN_ENVIRONMENT", Value: "green"}, {Name: "BLUEGREEN_VERSION", Value: "1.2.0+7"},
		{Name: "HOST", Value: "0.0.0.0"}, {Name: "LEVEL", Value: "info"}, {Name: "PORT", Value: "8080"},
	}
	if !slices.Equal(container.Env, want) {
		t.Errorf("its environment is %v", container.Env)
	}
	if template.Labels[labelVersion] != "1.2.0_7" {
		t.Errorf("its version label is %q", template.Labels[labelVersion])
	}
	if grace := template.Spec.TerminationGracePeriodSeconds; grace == nil || *grace != 30 {
		t.Error("its grace period is not the drain timeout")
	}
	if container.ReadinessProbe == nil || container.ReadinessProbe.TCPSocket == nil {
		t.Error("it gets traffic before it listens")
	}
	if container.Lifecycle == nil || container.Lifecycle.PreStop.Sleep.Seconds != 10 {
		t.Error("it stops listening before every node has dropped it")
	}
}

func TestPodTemplateOfTheUserIsMergedOver(t *testing.T) {
	t.Parallel()
	template, container := rendered(t, `{
		"metadata": {"labels": {"team": "shop"}},
		"spec": {
			"serviceAccountName": "web",
			"containers": [
				{"name": "web", "resources": {"requests": {"cpu": "100m"}},
				 "env": [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "web", "key": "password"}}}],
				 "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
				 "lifecycle": {"preStop": {"exec": {"command": ["/drain"]}}}},
				{"name": "proxy", "image": "proxy:1"}
			],
			"terminationGracePeriodSeconds": 60
		}
	}`)
	if template.Labels["team"] != "shop" || template.Labels[labelEnvironment] != "green" {
		t.Errorf("the labels are %v", template.Labels)
	}
	spec := template.Spec
	if spec.ServiceAccountName != "web" || len(spec.Containers) != 2 || *spec.TerminationGracePeriodSeconds != 60 {
		t.Errorf("the pod is %+v", template.Spec)
	}
	cpu := container.Resources.Requests.Cpu().String()
	if container.Image != "web:1.2.0" || cpu != "100m" || len(container.Env) != 6 {
		t.Errorf("the container is %+v", container)
	}
	if container.ReadinessProbe.HTTPGet == nil || container.ReadinessProbe.TCPSocket != nil {
		t.Errorf("the readiness probe is %+v", container.ReadinessProbe)
	}
	if container.Lifecycle.PreStop.Exec == nil || container.Lifecycle.PreStop.Sleep != nil {
		t.Errorf("the hook is %+v", container.Lifecycle.PreStop)
	}
	_, container = rendered(t, `{"spec":{"containers":[
		{"name":"web","lifecycle":{"postStart":{"exec":{"command":["/warm"]}}}}]}}`)
	preStop := container.Lifecycle.PreStop
	if container.Lifecycle.PostStart.Exec == nil || preStop == nil || preStop.Sleep == nil {
		t.Errorf("with a postStart hook of the user, the hooks are %+v", container.Lifecycle)
	}
}

// The identity is part of every fingerprint in a ledger: it must never change.
func TestPodSettingsKeepTheirIdentity(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]string{
		"": `{"port":8080}`,
		`{ "spec": {"nodeSelector": {"disk": "ssd"}, "hostNetwork": false} }`: `{"port":8080,` +
			`"pod_template":{"spec":{"hostNetwork":false,"nodeSelector":{"disk":"ssd"}}}}`,
	} {
		if got := (PodSettings{Port: 8080, PodTemplate: template}).Identity(); got != want {
			t.Errorf("the identity of %q is %s, want %s", template, got, want)
		}
	}
}

func TestSameSettingsAreTheSameTemplate(t *testing.T) {
	t.Parallel()
	digest := func(user string, release bluegreen.Release) string {
		encoded, err := webOptions.podTemplate(bluegreen.Green, withTemplate(release, user))
		if err != nil {
			t.Fatal(err)
		}
		return templateDigest(encoded)
	}
	cpu := func(quantity string) string {
		return `{"spec":{"containers":[{"name":"web","resources":{"requests":{"cpu":"` + quantity + `"}}}]}}`
	}
	first := digest(cpu("1"), webRelease)
	if first == "" || digest(cpu("1000m"), webRelease) != first {
		t.Error("one cpu and 1000m are two templates")
	}
	if digest(cpu("2"), webRelease) == first {
		t.Error("two cpus make the same template as one")
	}
	other := webRelease
	other.Env = map[string]string{"LEVEL": "debug"}
	if digest(cpu("1"), other) == first {
		t.Error("another variable makes the same template")
	}
	larger := webRelease
	larger.Replicas = 7
	if digest(cpu("1"), larger) != first {
		t.Error("the size is in the template")
	}
}

func TestPodTemplateThatBreaksTheDeploymentIsRefused(t *testing.T) {
	t.Parallel()
	const renamed = "cannot be removed or renamed"
	label := func(key, value string) string {
		return fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, key, value)
	}
	cases := map[string]struct{ template, want string }{
		"no JSON":             {`{`, "is not JSON"},
		"a list":              {`[]`, "is not a pod template"},
		"an unknown field":    {`{"spec":{"contaners":[]}}`, `unknown field "spec.contaners"`},
		"a wrong type":        {`{"spec":{"containers":[{"name":1}]}}`, "is not a pod template"},
		"another environment": {label(labelEnvironment, "red"), "selects the pods"},
		"another deployment":  {label(labelDeployment, "api"), "selects the pods"},
		"another image": {
			`{"spec":{"containers":[{"name":"web","image":"nginx"}]}}`, "must be that of the release",
		},
		"the container removed": {`{"spec":{"containers":[{"$patch":"delete","name":"web"}]}}`, renamed},
		"all replaced": {
			`{"spec":{"containers":[{"$patch":"replace"},{"name":"app","image":"web:1.2.0"}]}}`, renamed,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := webOptions
			options.PodTemplate = c.template
			err := options.Validate(webRelease.Image)
			var refused *TemplateError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want a TemplateError with %q", err, c.want)
			}
		})
	}
}

func TestApplyHasNoFieldsOfTheCluster(t *testing.T) {
	t.Parallel()
	want, err := webOptions.deployment(bluegreen.Blue, webRelease)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"status", "creationTimestamp", "resourceVersion"} {
		if bytes.Contains(encoded, []byte(`"`+field+`"`)) {
			t.Errorf("the apply mentions %s: %s", field, encoded)
		}
	}
	digest := templateDigest(want.Spec.Template)
	if digest == "" || want.Metadata.Labels[labelTemplate] != digest {
		t.Errorf("the Deployment has no label with the digest of its template: %v", want.Metadata.Labels)
	}
}

func TestPodServesOnBeforeItEnds(t *testing.T) {
	t.Parallel()
	for drain, want := range map[time.Duration][2]time.Duration{
		0:                {2 * time.Second, 3 * time.Second},
		time.Second:      {2 * time.Second, 3 * time.Second},
		10 * time.Second: {3 * time.Second, 10 * time.Second},
		30 * time.Second: {10 * time.Second, 30 * time.Second},
		time.Hour:        {10 * time.Second, time.Hour},
	} {
		o := Options{DrainTimeout: drain}
		if got := [2]time.Duration{o.preStopDelay(), o.gracePeriod()}; got != want {
			t.Errorf("with a drain timeout of %s a pod serves on for and ends in %s, want %s", drain, got, want)
		}
	}
}
