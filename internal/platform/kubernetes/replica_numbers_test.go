// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

func TestPodsKeepTheirNumbers(t *testing.T) {
	t.Parallel()
	n := newReplicaNumbers()
	number := func(recorded []bluegreen.InstanceRef, names ...string) string {
		var pods []*corev1.Pod
		for _, name := range names {
			pods = append(pods, newPod(name))
		}
		var numbered []string
		for _, pod := range n.assign(bluegreen.Green, pods, recorded) {
			numbered = append(numbered, fmt.Sprintf("%d:%s", n.numbers[pod.UID], pod.Name))
		}
		return strings.Join(numbered, " ")
	}
	passed := []bluegreen.InstanceRef{
		{ID: "green-3", Incarnation: "uid-c/0"}, {ID: "green-1", Incarnation: "uid-d/2"},
		{ID: "blue-2", Incarnation: "uid-b/0"},
	}
	steps := []struct{ got, want string }{
		{number(nil, "b", "a"), "1:a 2:b"},
		{number(nil, "0", "b", "a"), "1:a 2:b 3:0"},
		{number(nil, "b", "0"), "2:b 3:0"},
		{number(nil, "b", "0", "z"), "1:z 2:b 3:0"},
	}
	for i, step := range steps {
		if step.got != step.want {
			t.Errorf("step %d: %s, want %s", i+1, step.got, step.want)
		}
	}
	n = newReplicaNumbers()
	if got := number(passed, "a", "b", "c", "d"); got != "1:d 2:a 3:c 4:b" {
		t.Errorf("another process has %s", got)
	}
}
