// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// aPod is as old as its name is early in the alphabet.
func aPod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name), CreationTimestamp: metav1.NewTime(noon.Add(time.Duration(name[0]) * time.Second))},
		Status: corev1.PodStatus{
			Conditions:        []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			ContainerStatuses: []corev1.ContainerStatus{{Name: "web", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}},
		},
	}
	for _, f := range change {
		f(pod)
	}
	return pod
}

func container(status corev1.ContainerStatus) func(*corev1.Pod) {
	status.Name = "web"
	return func(pod *corev1.Pod) { pod.Status.ContainerStatuses = []corev1.ContainerStatus{status} }
}

// starting is a pod whose container is on its way, as one is that an autoscaler
// has asked for.
func starting(pod *corev1.Pod) {
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse, Message: "it starts"}}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "web", State: waiting("ContainerCreating", "")}}
}

func waiting(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

func ended(code int32, reason string) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: "no such file\nat all"}}
}

func TestPodsKeepTheirPlaces(t *testing.T) {
	t.Parallel()
	l := newPlaces()
	seen := func(remembered []bluegreen.InstanceRef, names ...string) string {
		var pods []*corev1.Pod
		for _, name := range names {
			pods = append(pods, aPod(name))
		}
		var places []string
		for _, pod := range l.assign(bluegreen.Green, pods, remembered) {
			places = append(places, fmt.Sprintf("%d:%s", l.numbers[pod.UID], pod.Name))
		}
		return strings.Join(places, " ")
	}
	passed := []bluegreen.InstanceRef{{ID: "green-3", Incarnation: "uid-c/0"}, {ID: "green-1", Incarnation: "uid-d/2"}, {ID: "blue-2", Incarnation: "uid-b/0"}}
	steps := []struct{ got, want string }{
		{seen(nil, "b", "a"), "1:a 2:b"},
		{seen(nil, "0", "b", "a"), "1:a 2:b 3:0"},
		{seen(nil, "b", "0"), "2:b 3:0"},
		{seen(nil, "b", "0", "z"), "1:z 2:b 3:0"},
	}
	for i, step := range steps {
		if step.got != step.want {
			t.Errorf("step %d: %s, want %s", i+1, step.got, step.want)
		}
	}
	l = newPlaces()
	if got := seen(passed, "a", "b", "c", "d"); got != "1:d 2:a 3:c 4:b" {
		t.Errorf("another process sees %s", got)
	}
}

func TestInstancesTellHowContainersEnded(t *testing.T) {
	t.Parallel()
	gone := metav1.NewTime(noon)
	pods := []*corev1.Pod{
		aPod("a"),
		aPod("b", container(corev1.ContainerStatus{State: ended(3, "Error")})),
		aPod("c", container(corev1.ContainerStatus{State: waiting("CrashLoopBackOff", ""), LastTerminationState: ended(137, "OOMKilled"), RestartCount: 4})),
		aPod("d", container(corev1.ContainerStatus{State: ended(128, "StartError")})),
		aPod("e", starting),
		aPod("f", func(pod *corev1.Pod) { pod.DeletionTimestamp = &gone }),
		aPod("g", func(pod *corev1.Pod) { pod.Status.Phase = corev1.PodFailed }),
	}
	p := &Platform{places: newPlaces()}
	got := p.number(workload{environment: bluegreen.Blue, container: "web"}, pods, nil)
	want := []bluegreen.Instance{
		{ID: "blue-1", Incarnation: "uid-a/0", Running: true},
		{ID: "blue-2", Incarnation: "uid-b/0", Exit: `exit status 3 (pod b, container "web")`},
		{ID: "blue-3", Incarnation: "uid-c/4", Exit: `exit status 137 (OOMKilled), CrashLoopBackOff (pod c, container "web")`},
		{ID: "blue-4", Incarnation: "uid-d/0", Exit: `exit status 128 (StartError): no such file (pod d, container "web")`},
		{ID: "blue-5", Incarnation: "uid-e/0", Running: true, Unready: "pod e is not ready: it starts"},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestReadinessIsThatOfTheRun(t *testing.T) {
	t.Parallel()
	pods := []*corev1.Pod{aPod("a"), aPod("b", func(pod *corev1.Pod) {
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse, Message: "containers with unready status: [web]"}}
	}), aPod("c", container(corev1.ContainerStatus{State: ended(3, "Error")})), aPod("d", starting), aPod("e", starting, func(pod *corev1.Pod) {
		pod.Status.ContainerStatuses = append(aPod("e").Status.ContainerStatuses, corev1.ContainerStatus{Name: "proxy", State: waiting("ImagePullBackOff", "no such image")})
	})}
	cases := map[string]struct {
		want string
		over bool
	}{
		"uid-a/0": {"<nil>", false},
		"uid-a/1": {"its container does not run", true},
		"uid-b/0": {"pod b is not ready: containers with unready status: [web]", false},
		"uid-c/0": {`exit status 3 (pod c, container "web")`, true},
		"uid-d/0": {"pod d is not ready: it starts", false},
		"uid-e/0": {`pod e, container "proxy": ImagePullBackOff: no such image`, true},
		"uid-z/0": {"its pod is gone", true},
	}
	for incarnation, c := range cases {
		over, cause := unready(pods, "web", bluegreen.Instance{Incarnation: incarnation})
		if fmt.Sprint(cause) != c.want || over != c.over {
			t.Errorf("%s: %v, over is %t; want %s, %t", incarnation, cause, over, c.want, c.over)
		}
	}
}

func TestTrafficArrivesWithTheLastEndpoint(t *testing.T) {
	t.Parallel()
	no := false
	endpoint := func(pod string, ready *bool) discoveryv1.Endpoint {
		return discoveryv1.Endpoint{TargetRef: &corev1.ObjectReference{UID: types.UID("uid-" + pod)}, Conditions: discoveryv1.EndpointConditions{Ready: ready}}
	}
	starting := aPod("c", func(pod *corev1.Pod) { pod.Status.Conditions = nil })
	pods := []*corev1.Pod{aPod("a"), aPod("b"), starting}
	cases := map[string]struct {
		endpoints []discoveryv1.Endpoint
		want      string
	}{
		"all that are ready": {[]discoveryv1.Endpoint{endpoint("a", nil), endpoint("b", nil), endpoint("c", &no)}, ""},
		"an old one left":    {[]discoveryv1.Endpoint{endpoint("a", nil), endpoint("b", nil), endpoint("x", nil)}, "1 other endpoints get its traffic"},
		"an old one ending":  {[]discoveryv1.Endpoint{endpoint("a", nil), endpoint("b", nil), endpoint("x", &no)}, ""},
		"one missing":        {[]discoveryv1.Endpoint{endpoint("a", nil)}, "1 of its ready pods get no traffic"},
		"nothing":            {nil, "2 of its ready pods get no traffic"},
	}
	for name, c := range cases {
		slices := []*discoveryv1.EndpointSlice{{Endpoints: c.endpoints}}
		if got := elsewhere(slices, pods); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got := elsewhere(nil, []*corev1.Pod{starting}); got != "none of its pods is ready" {
		t.Errorf("without a ready pod: %q", got)
	}
}
