// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

func TestPodThatNeverStartsDiffersFromOneThatMay(t *testing.T) {
	t.Parallel()
	crashed := waiting("CrashLoopBackOff", "back-off 10s")
	isRunning := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	cases := map[string]struct {
		pod  *corev1.Pod
		want string
	}{
		"running":     {newPod("a"), "<nil>"},
		"being made":  {podThatWaits("ContainerCreating", ""), "<nil>"},
		"a first try": {podThatWaits("ErrImagePull", "timeout"), "<nil>"},
		"no such image": {
			podThatWaits("ImagePullBackOff", `Back-off pulling image "nope:1"`),
			`pod a, container "web": ImagePullBackOff: Back-off pulling image "nope:1"`,
		},
		"image not here": {
			podThatWaits("ErrImageNeverPull", "not present"),
			`pod a, container "web": ErrImageNeverPull: not present`,
		},
		"a Secret missing": {
			podThatWaits("CreateContainerConfigError", `secret "web" not found`),
			`pod a, container "web": CreateContainerConfigError: secret "web" not found`,
		},
		"crashed once": {
			newPod("a", container(corev1.ContainerStatus{
				State: waiting("CrashLoopBackOff", ""), LastTerminationState: ended(1, "Error"),
			})),
			"<nil>",
		},
		"a failing init": {
			podThatInitializes(crashed, ended(2, "Error"), 0),
			`pod a, container "migrate": CrashLoopBackOff after exit status 2: back-off 10s`,
		},
		"an init that failed": {podThatInitializes(ended(2, "Error"), ended(2, "Error"), 0), "<nil>"},
		"and failed again": {
			podThatInitializes(ended(2, "Error"), ended(2, "Error"), 1),
			`pod a, container "migrate": CrashLoopBackOff after exit status 2: it was started 2 times`,
		},
		"init at work":      {podThatInitializes(isRunning, corev1.ContainerState{}, 0), "<nil>"},
		"nothing known yet": {newPod("a", func(pod *corev1.Pod) { pod.Status = corev1.PodStatus{} }), "<nil>"},
	}
	for name, c := range cases {
		var got error
		if failure := findStartFailure(c.pod, "web"); failure != nil {
			got = failure
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s: got %v, want %s", name, got, c.want)
		}
	}
}

func podThatWaits(reason, message string) *corev1.Pod {
	return newPod("a", container(corev1.ContainerStatus{State: waiting(reason, message)}))
}

// podThatInitializes is in the states of its init container.
func podThatInitializes(state, last corev1.ContainerState, restarts int32) *corev1.Pod {
	pod := podThatWaits("PodInitializing", "")
	pod.Status.InitContainerStatuses = []corev1.ContainerStatus{
		{Name: "migrate", State: state, LastTerminationState: last, RestartCount: restarts},
	}
	return pod
}

func TestPodsThatTheClusterRefusesAreAFailure(t *testing.T) {
	t.Parallel()
	d := &appsv1.Deployment{}
	d.Name = "web-green"
	if failure, _ := findReplicaFailure(d); failure != nil {
		t.Errorf("without a condition: %v", failure)
	}
	d.Status.Conditions = []appsv1.DeploymentCondition{{
		Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue,
		Reason: "FailedCreate", Message: "exceeded quota: pods",
	}}
	const want = "Deployment web-green: FailedCreate: exceeded quota: pods"
	if err, _ := findReplicaFailure(d); err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestPodWithoutANodeSaysWhy(t *testing.T) {
	t.Parallel()
	pod := newPod("a", func(pod *corev1.Pod) {
		pod.Status.Conditions = []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
			Reason: corev1.PodReasonUnschedulable, Message: "0/1 nodes are available",
		}}
	})
	if got := unschedulableMessage(pod); got != "0/1 nodes are available" {
		t.Errorf("got %q", got)
	}
	if got := unschedulableMessage(newPod("b")); got != "" {
		t.Errorf("a pod with a node: %q", got)
	}
}

// Only a missing source of a volume ends a deploy: a disk or a network may take its time.
func TestEventsThatEndADeploy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reason, message string
		want            bool
	}{
		{"FailedMount", `MountVolume.SetUp failed for volume "web" : secret "absent" not found`, true},
		{"FailedMount", `Unable to attach or mount volumes: timed out waiting for the condition`, false},
		{
			"FailedAttachVolume",
			`Multi-Attach error for volume "pvc-1" Volume is already exclusively attached to one node`, false,
		},
		{
			"FailedCreatePodSandBox",
			`Failed to create pod sandbox: plugin type="bridge" failed (add): network namespace not found`, false,
		},
	} {
		if got := isMissingVolumeSource(corev1.Event{Reason: c.reason, Message: c.message}); got != c.want {
			t.Errorf("%s: %s: %t", c.reason, c.message, got)
		}
	}
}
