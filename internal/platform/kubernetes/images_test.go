// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

const someDigest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// If the nodes pull an image at every start, they pull it by the digest that was
// recorded.
func TestImageToPull(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		image, digest string
		policy        corev1.PullPolicy
		want          string
	}{
		{"example.com/web:1", someDigest, corev1.PullAlways, "example.com/web@" + someDigest},
		{"web", someDigest, "", "docker.io/library/web@" + someDigest},
		{"web:latest", someDigest, "", "docker.io/library/web@" + someDigest},
		{"web:1", someDigest, "", "web:1"},
		{"web:1", someDigest, corev1.PullNever, "web:1"},
		{"web:1", "", corev1.PullAlways, "web:1"},
		{"example.com/web@" + someDigest, someDigest, "", "example.com/web@" + someDigest},
	} {
		release := bluegreen.Release{Image: c.image, ImageDigest: c.digest}
		if got := imageToPull(&corev1.Container{ImagePullPolicy: c.policy}, release); got != c.want {
			t.Errorf("%s, %q: got %s, want %s", c.image, c.policy, got, c.want)
		}
		if got := imageToPull(nil, release); !isImageOf(got, release) {
			t.Errorf("%s is not the image of %+v", got, release)
		}
	}
}

// A release that was deployed before gets its digest, and stays the same release.
func TestDeploymentOfAPinnedRelease(t *testing.T) {
	t.Parallel()
	options := Options{Namespace: "default", Name: "web", PodSettings: PodSettings{Port: 8080}}
	release := bluegreen.Release{Version: "1", Image: "web:latest", Settings: options.PodSettings}
	first, err := options.deployment(bluegreen.Blue, release)
	if err != nil {
		t.Fatal(err)
	}
	release.ImageDigest = someDigest
	again, err := options.deployment(bluegreen.Blue, release)
	if err != nil {
		t.Fatal(err)
	}
	template, err := decodeTemplate(again.Spec.Template)
	if err != nil {
		t.Fatal(err)
	}
	if got := findContainer(template, "web").Image; got != "docker.io/library/web@"+someDigest {
		t.Errorf("the image is %s", got)
	}
	if first.Metadata.Labels[labelTemplate] != again.Metadata.Labels[labelTemplate] {
		t.Error("the pinned release counts as another one")
	}
}

// A standby that was recycled from a tag that has moved cannot be rolled back to.
func TestClusterMovedTagIsNoRollbackTarget(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(o *Options) { o.RecycleStandby = true })
	const image = "docker.io/library/bluegreen-moved:stable"
	deploy := func(version string) {
		h.MoveTag(t, image, version)
		want := h.desired(version, 1)
		want.Release.Image = image
		ledger, err := h.platform.Load(t.Context())
		if errors.Is(err, bluegreen.ErrNotFound) {
			_, err = h.Create(t.Context(), want)
		} else if err == nil {
			_, err = h.Apply(t.Context(), ledger, want)
		}
		h.must(err)
	}
	deploy("1.0.0")
	before := h.podsOf(bluegreen.Green)
	deploy("2.0.0")
	session := h.session()
	pods := session.Pods(podLabels(h.Deployment, bluegreen.Green.String()))
	h.must(session.Await(t.Context(), func() (bool, time.Duration, error) {
		found, err := pods.Items()
		isRecycled := err == nil && len(found) == 1 && before[found[0].UID] == nil && !isNotReady(found[0])
		return isRecycled, 0, err
	}))
	err := h.Rollback(t.Context(), "to see")
	if !errors.Is(err, bluegreen.RollbackFailed) || !strings.Contains(err.Error(), "another image than was deployed") {
		t.Errorf("got %v", err)
	}
	h.requireServes("2.0.0")
}

// A release that the cluster refuses is found out before the standby is given up.
func TestClusterRefusedDeploymentKeepsTheStandby(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.makeLive("1.0.0", 1)
	h.makeLive("2.0.0", 1)
	want := h.desired("3.0.0", 1)
	want.Release.Settings = PodSettings{Port: replicaPort, PodTemplate: `{"spec":{"containers":[{"name":"` +
		h.Deployment + `","volumeMounts":[{"name":"nowhere","mountPath":"/data"}]}]}}`}
	err := h.apply(want)
	if err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("got %v", err)
	}
	h.must(h.Rollback(t.Context(), "to see"))
	h.requireServes("1.0.0")
}
