// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestTrafficArrivesWithTheLastEndpoint(t *testing.T) {
	t.Parallel()
	no := false
	endpoint := func(pod string, ready *bool) discoveryv1.Endpoint {
		return discoveryv1.Endpoint{
			TargetRef:  &corev1.ObjectReference{UID: types.UID("uid-" + pod)},
			Conditions: discoveryv1.EndpointConditions{Ready: ready},
		}
	}
	starting := newPod("c", func(pod *corev1.Pod) { pod.Status.Conditions = nil })
	pods := []*corev1.Pod{newPod("a"), newPod("b"), starting}
	cases := map[string]struct {
		endpoints []discoveryv1.Endpoint
		want      string
	}{
		"all that are ready": {[]discoveryv1.Endpoint{endpoint("a", nil), endpoint("b", nil), endpoint("c", &no)}, ""},
		"an old one left": {
			[]discoveryv1.Endpoint{endpoint("a", nil), endpoint("b", nil), endpoint("x", nil)},
			"1 other endpoints get its traffic",
		},
		"an old one ending": {[]discoveryv1.Endpoint{endpoint("a", nil), endpoint("b", nil), endpoint("x", &no)}, ""},
		"one missing":       {[]discoveryv1.Endpoint{endpoint("a", nil)}, "1 of its ready pods get no traffic"},
		"nothing":           {nil, "2 of its ready pods get no traffic"},
	}
	for name, c := range cases {
		slices := []*discoveryv1.EndpointSlice{{Endpoints: c.endpoints}}
		if got := endpointMismatch(slices, pods); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got := endpointMismatch(nil, []*corev1.Pod{starting}); got != "none of its pods is ready" {
		t.Errorf("without a ready pod: %q", got)
	}
}
