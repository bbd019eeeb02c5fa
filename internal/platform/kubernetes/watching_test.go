// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// podsOf returns the pods of an environment by their UIDs.
func (s *shop) podsOf(env bluegreen.Environment) map[types.UID]*corev1.Pod {
	s.Helper()
	found, err := s.api.pods(s.namespace).List(s.Context(), metav1.ListOptions{
		LabelSelector: labels.SelectorFromSet(podLabels(s.Deployment, env.String())).String(),
	})
	s.must(err)
	pods := map[types.UID]*corev1.Pod{}
	for i := range found.Items {
		pods[found.Items[i].UID] = &found.Items[i]
	}
	return pods
}

// watchRecycling returns when all of former are gone, and whether there were
// size pods ready in env all the time until then.
func (s *shop) watchRecycling(env bluegreen.Environment, former map[types.UID]*corev1.Pod, size int) (whole bool, gone time.Time) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 2*time.Minute)
	defer cancel()
	watching := s.platform.newSession(ctx, s.api)
	defer watching.end()
	seen := watching.watch(s.platform.opts.workload(env))
	whole = true
	s.must(watching.bell.await(ctx, func() (bool, time.Duration, error) {
		pods, err := seen.pods.current()
		if err != nil {
			return false, 0, err
		}
		ready, left := 0, 0
		for _, pod := range pods {
			if former[pod.UID] != nil {
				left++
			}
			if notReady(pod) == nil && pod.DeletionTimestamp == nil {
				ready++
			}
		}
		whole = whole && ready >= size
		return left == 0, 0, nil
	}))
	return whole, time.Now()
}
