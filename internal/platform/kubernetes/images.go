// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"fmt"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// pinnedImage returns the reference of the very image that release was deployed as, or
// "" if that is not known.
func pinnedImage(release bluegreen.Release) string {
	named, err := reference.ParseNormalizedNamed(release.Image)
	if err != nil || release.ImageDigest == "" {
		return ""
	}
	pinned, err := reference.WithDigest(reference.TrimNamed(named), digest.Digest(release.ImageDigest))
	if err != nil {
		return ""
	}
	return pinned.String()
}

// isImageOf reports whether image is the image of the release, by its tag or by its
// digest.
func isImageOf(image string, release bluegreen.Release) bool {
	return image == release.Image || image == pinnedImage(release)
}

// imageToPull returns the reference that new pods of release use. If the nodes ask the
// registry at every start, it is the digest. Otherwise it is the tag, because a node may
// have an image that was never in a registry, and that has no other name.
func imageToPull(container *corev1.Container, release bluegreen.Release) string {
	policy := corev1.PullIfNotPresent
	if container != nil {
		policy = container.ImagePullPolicy
	}
	if policy == "" && hasLatestTag(release.Image) {
		policy = corev1.PullAlways
	}
	if pinned := pinnedImage(release); policy == corev1.PullAlways && pinned != "" {
		return pinned
	}
	return release.Image
}

// hasLatestTag reports whether the cluster pulls the image at every start by default.
func hasLatestTag(image string) bool {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return false
	}
	if _, isDigested := named.(reference.Digested); isDigested {
		return false
	}
	tagged, isTagged := reference.TagNameOnly(named).(reference.Tagged)
	return isTagged && tagged.Tag() == "latest"
}

// otherImageError reports a pod that runs another image than the release was deployed as.
type otherImageError struct{ pod, image, digest, want string }

func (e *otherImageError) Error() string {
	return fmt.Sprintf("pod %s runs another image than was deployed: %s is %s now and was %s",
		e.pod, e.image, e.digest, e.want)
}

// checkImage returns an *otherImageError if the container of a pod has started with
// another image than want. It accepts every image if want is "".
func checkImage(pod *corev1.Pod, container, want string) error {
	status := containerStatus(pod, container)
	if got := imageDigest(status); want != "" && got != "" && got != want {
		return &otherImageError{pod.Name, status.Image, got, want}
	}
	return nil
}

// markOtherImages marks instances as unready if their pods run another image than want.
func markOtherImages(instances []bluegreen.Instance, pods []*corev1.Pod, container, want string) {
	failures := map[types.UID]error{}
	for _, pod := range pods {
		failures[pod.UID] = checkImage(pod, container, want)
	}
	for i := range instances {
		uid, _ := parseIncarnation(instances[i].Incarnation)
		if err := failures[uid]; err != nil {
			instances[i].Unready = err.Error()
		}
	}
}
