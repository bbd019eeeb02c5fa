// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// replicaNumbers gives pods numbers, because the names of pods mean nothing to people.
// The pod that is "green-2" stays "green-2" as long as the platform is open, and beyond
// that if the ledger has it.
type replicaNumbers struct {
	numbers map[types.UID]int
	pods    map[types.UID]*corev1.Pod
}

func newReplicaNumbers() replicaNumbers {
	return replicaNumbers{map[types.UID]int{}, map[types.UID]*corev1.Pod{}}
}

// assign gives every pod of env a number, and returns the pods in the order of their
// numbers. Pods that are in the ledger or were numbered before keep their number. The
// others get the lowest free numbers, the oldest pod first.
func (n replicaNumbers) assign(
	env bluegreen.Environment, pods []*corev1.Pod, recorded []bluegreen.InstanceRef,
) []*corev1.Pod {
	taken := map[int]bool{}
	var unnumbered []*corev1.Pod
	for _, pod := range pods {
		n.pods[pod.UID] = pod
		number := n.numbers[pod.UID]
		if number == 0 {
			number = recordedNumber(env, pod.UID, recorded)
		}
		if number == 0 || taken[number] {
			unnumbered = append(unnumbered, pod)
			continue
		}
		taken[number], n.numbers[pod.UID] = true, number
	}
	slices.SortFunc(unnumbered, func(a, b *corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
	})
	number := 1
	for _, pod := range unnumbered {
		for taken[number] {
			number++
		}
		taken[number], n.numbers[pod.UID] = true, number
	}
	ordered := slices.Clone(pods)
	slices.SortFunc(ordered, func(a, b *corev1.Pod) int { return n.numbers[a.UID] - n.numbers[b.UID] })
	return ordered
}

// recordedNumber returns the number that a pod has in the ledger, or 0 if it has none.
func recordedNumber(env bluegreen.Environment, pod types.UID, recorded []bluegreen.InstanceRef) int {
	for _, ref := range recorded {
		uid, _ := parseIncarnation(ref.Incarnation)
		digits, isOfEnv := strings.CutPrefix(ref.ID, env.String()+"-")
		if number, err := strconv.Atoi(digits); err == nil && isOfEnv && uid == pod {
			return max(number, 0)
		}
	}
	return 0
}

// incarnation identifies one run of a container. It is another one if the pod was
// replaced, or if the container was restarted in its pod.
func incarnation(pod types.UID, restarts int32) string {
	return fmt.Sprintf("%s/%d", pod, restarts)
}

// parseIncarnation returns the pod and the number of restarts in an incarnation.
func parseIncarnation(incarnation string) (pod types.UID, restarts int32) {
	uid, digits, _ := strings.Cut(incarnation, "/")
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil {
		return types.UID(uid), 0
	}
	return types.UID(uid), int32(n)
}
