// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

func TestPodThatNeverStartsIsToldFromOneThatMay(t *testing.T) {
	t.Parallel()
	initialising := func(state, last corev1.ContainerState) func(*corev1.Pod) {
		return func(pod *corev1.Pod) {
			pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "migrate", State: state, LastTerminationState: last}}
			pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "web", State: waiting("PodInitializing", "")}}
		}
	}
	failed := func(restarts int32) func(*corev1.Pod) {
		again := initialising(ended(2, "Error"), ended(2, "Error"))
		return func(pod *corev1.Pod) {
			again(pod)
			pod.Status.InitContainerStatuses[0].RestartCount = restarts
		}
	}
	cases := map[string]struct {
		pod  *corev1.Pod
		want string
	}{
		"running":             {aPod("a"), "<nil>"},
		"being made":          {aPod("a", container(corev1.ContainerStatus{State: waiting("ContainerCreating", "")})), "<nil>"},
		"a first try":         {aPod("a", container(corev1.ContainerStatus{State: waiting("ErrImagePull", "timeout")})), "<nil>"},
		"no such image":       {aPod("a", container(corev1.ContainerStatus{State: waiting("ImagePullBackOff", `Back-off pulling image "nope:1"`)})), `pod a, container "web": ImagePullBackOff: Back-off pulling image "nope:1"`},
		"image not here":      {aPod("a", container(corev1.ContainerStatus{State: waiting("ErrImageNeverPull", "not present")})), `pod a, container "web": ErrImageNeverPull: not present`},
		"a Secret missing":    {aPod("a", container(corev1.ContainerStatus{State: waiting("CreateContainerConfigError", `secret "web" not found`)})), `pod a, container "web": CreateContainerConfigError: secret "web" not found`},
		"crashed once":        {aPod("a", container(corev1.ContainerStatus{State: waiting("CrashLoopBackOff", ""), LastTerminationState: ended(1, "Error")})), "<nil>"},
		"a failing init":      {aPod("a", initialising(waiting("CrashLoopBackOff", "back-off 10s"), ended(2, "Error"))), `pod a, container "migrate": CrashLoopBackOff after exit status 2: back-off 10s`},
		"an init that failed": {aPod("a", failed(0)), "<nil>"},
		"and failed again":    {aPod("a", failed(1)), `pod a, container "migrate": CrashLoopBackOff after exit status 2: it was started 2 times`},
		"init at work":        {aPod("a", initialising(corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}, corev1.ContainerState{})), "<nil>"},
		"nothing known yet":   {aPod("a", func(pod *corev1.Pod) { pod.Status = corev1.PodStatus{} }), "<nil>"},
	}
	for name, c := range cases {
		var got error
		if failure := stuck(c.pod, "web"); failure != nil {
			got = failure
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s: got %v, want %s", name, got, c.want)
		}
	}
}

func TestPodsThatTheClusterRefusesAreAFailure(t *testing.T) {
	t.Parallel()
	d := &appsv1.Deployment{}
	d.Name = "web-green"
	if failure, _ := replicaFailure(d); failure != nil {
		t.Errorf("without a condition: %v", failure)
	}
	d.Status.Conditions = []appsv1.DeploymentCondition{{
		Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: "exceeded quota: pods",
	}}
	if err, _ := replicaFailure(d); err == nil || err.Error() != "Deployment web-green: FailedCreate: exceeded quota: pods" {
		t.Errorf("got %v", err)
	}
}

func TestPodWithoutANodeSaysWhy(t *testing.T) {
	t.Parallel()
	pod := aPod("a", func(pod *corev1.Pod) {
		pod.Status.Conditions = []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: "0/1 nodes are available",
		}}
	})
	if got := unschedulable(pod); got != "0/1 nodes are available" {
		t.Errorf("got %q", got)
	}
	if got := unschedulable(aPod("b")); got != "" {
		t.Errorf("a pod with a node: %q", got)
	}
}

// Only what is missing ends a deploy: a disk or a network may take its time.
func TestEventsThatEndADeploy(t *testing.T) {
	t.Parallel()
	for message, c := range map[string]struct {
		reason string
		want   bool
	}{
		`MountVolume.SetUp failed for volume "web" : secret "absent" not found`:                        {"FailedMount", true},
		`Unable to attach or mount volumes: timed out waiting for the condition`:                       {"FailedMount", false},
		`Multi-Attach error for volume "pvc-1" Volume is already exclusively attached to one node`:     {"FailedAttachVolume", false},
		`Failed to create pod sandbox: plugin type="bridge" failed (add): network namespace not found`: {"FailedCreatePodSandBox", false},
	} {
		if got := lacks(corev1.Event{Reason: c.reason, Message: message}); got != c.want {
			t.Errorf("%s: %s: %t", c.reason, message, got)
		}
	}
}
