// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// newPod returns a pod that is ready. Pods are created in the order of their names.
func newPod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, UID: types.UID("uid-" + name),
			CreationTimestamp: metav1.NewTime(noon.Add(time.Duration(name[0]) * time.Second)),
		},
		Status: corev1.PodStatus{
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			ContainerStatuses: []corev1.ContainerStatus{
				{Name: "web", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}},
			},
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

// starting makes a pod one whose container is being created.
func starting(pod *corev1.Pod) {
	notReady := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionFalse, Message: "it starts"}
	pod.Status.Conditions = []corev1.PodCondition{notReady}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "web", State: waiting("ContainerCreating", "")}}
}

func waiting(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

func ended(code int32, reason string) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: code, Reason: reason, Message: "no such file\nat all",
	}}
}

func TestInstancesTellHowContainersEnded(t *testing.T) {
	t.Parallel()
	gone := metav1.NewTime(noon)
	pods := []*corev1.Pod{
		newPod("a"),
		newPod("b", container(corev1.ContainerStatus{State: ended(3, "Error")})),
		newPod("c", container(corev1.ContainerStatus{
			State: waiting("CrashLoopBackOff", ""), LastTerminationState: ended(137, "OOMKilled"), RestartCount: 4,
		})),
		newPod("d", container(corev1.ContainerStatus{State: ended(128, "StartError")})),
		newPod("e", starting),
		newPod("f", func(pod *corev1.Pod) { pod.DeletionTimestamp = &gone }),
		newPod("g", func(pod *corev1.Pod) { pod.Status.Phase = corev1.PodFailed }),
	}
	p := &Platform{numbers: newReplicaNumbers()}
	got := p.numberPods(workload{environment: bluegreen.Blue, container: "web"}, pods, nil)
	want := []bluegreen.Instance{
		{ID: "blue-1", Incarnation: "uid-a/0", Running: true},
		{ID: "blue-2", Incarnation: "uid-b/0", Exit: `exit status 3 (pod b, container "web")`},
		{
			ID: "blue-3", Incarnation: "uid-c/4",
			Exit: `exit status 137 (OOMKilled), CrashLoopBackOff (pod c, container "web")`,
		},
		{
			ID: "blue-4", Incarnation: "uid-d/0",
			Exit: `exit status 128 (StartError): no such file (pod d, container "web")`,
		},
		{ID: "blue-5", Incarnation: "uid-e/0", Running: true, Unready: "pod e is not ready: it starts"},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestReadinessIsThatOfTheRun(t *testing.T) {
	t.Parallel()
	pods := []*corev1.Pod{
		newPod("a"),
		newPod("b", func(pod *corev1.Pod) {
			pod.Status.Conditions = []corev1.PodCondition{{
				Type: corev1.PodReady, Status: corev1.ConditionFalse, Message: "containers with unready status: [web]",
			}}
		}),
		newPod("c", container(corev1.ContainerStatus{State: ended(3, "Error")})),
		newPod("d", starting),
		newPod("e", starting, func(pod *corev1.Pod) {
			proxy := corev1.ContainerStatus{Name: "proxy", State: waiting("ImagePullBackOff", "no such image")}
			pod.Status.ContainerStatuses = append(newPod("e").Status.ContainerStatuses, proxy)
		}),
	}
	cases := map[string]struct {
		want   string
		isOver bool
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
		isOver, cause := checkInstanceReady(pods, "web", bluegreen.Instance{Incarnation: incarnation})
		if fmt.Sprint(cause) != c.want || isOver != c.isOver {
			t.Errorf("%s: %v, isOver is %t; want %s, %t", incarnation, cause, isOver, c.want, c.isOver)
		}
	}
}
