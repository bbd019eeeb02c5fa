// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// activePods returns the pods without those that are being deleted or have ended. A pod
// that was evicted stays as one that has ended, and another one replaces it.
func activePods(pods []*corev1.Pod) []*corev1.Pod {
	return slices.DeleteFunc(slices.Clone(pods), func(pod *corev1.Pod) bool {
		hasEnded := pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
		return hasEnded || pod.DeletionTimestamp != nil
	})
}

// checkPodReady returns an error with the reason if the pod is not ready. Such a pod gets
// no traffic.
func checkPodReady(pod *corev1.Pod) error {
	for _, condition := range pod.Status.Conditions {
		if condition.Type != corev1.PodReady {
			continue
		}
		if condition.Status == corev1.ConditionTrue {
			return nil
		}
		reason := cmp.Or(condition.Message, condition.Reason, "its readiness probe has not passed")
		return fmt.Errorf("pod %s is not ready: %s", pod.Name, reason)
	}
	return fmt.Errorf("pod %s is not ready yet", pod.Name)
}

func isNotReady(pod *corev1.Pod) bool { return checkPodReady(pod) != nil }

// containerStatus returns the status of a container of the pod. It is empty until the
// kubelet has reported one.
func containerStatus(pod *corev1.Pod, container string) corev1.ContainerStatus {
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name == container {
			return status
		}
	}
	return corev1.ContainerStatus{}
}

// describeLastExit returns how the last run of a container ended, with the names of the
// pod and the container. It returns "" if no run has ended.
func describeLastExit(pod *corev1.Pod, status corev1.ContainerStatus) string {
	exit := lastExit(status)
	if exit == "" {
		return ""
	}
	if waiting := status.State.Waiting; waiting != nil {
		exit += ", " + waiting.Reason
	}
	return fmt.Sprintf("%s (pod %s, container %q)", exit, pod.Name, status.Name)
}

// lastExit returns how the last run of a container ended, or "" if none has.
func lastExit(status corev1.ContainerStatus) string {
	end := cmp.Or(status.State.Terminated, status.LastTerminationState.Terminated)
	if end == nil {
		return ""
	}
	text := fmt.Sprintf("exit status %d", end.ExitCode)
	if end.Reason != "" && end.Reason != "Error" && end.Reason != "Completed" {
		text += " (" + end.Reason + ")"
	}
	if end.Reason == "StartError" || end.Reason == "ContainerCannotRun" {
		// The container never ran, so the message of the runtime is all there is.
		text += ": " + firstLine(end.Message)
	}
	return text
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// servingPort returns the port of the pod at which w serves, or 0 if the pod has none.
func servingPort(pod *corev1.Pod, w workload) int {
	if w.port.Type == intstr.Int {
		return w.port.IntValue()
	}
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			if port.Name == w.port.StrVal {
				return int(port.ContainerPort)
			}
		}
	}
	return 0
}
