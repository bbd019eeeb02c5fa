// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// StartError is a pod, or a Deployment, that will not start by itself.
type StartError struct {
	// Deployment has no pods to tell of; else Pod is set.
	Deployment, Pod string
	// Container is the one of the pod that holds it up, "" where none does.
	Container string
	// Reason is the cluster's word for it: "ImagePullBackOff".
	Reason  string
	Message string
	// Exit says how the container ended last, "" where it has not run.
	Exit string
	// Logs are the last lines that it wrote. They are shown and never kept.
	Logs []string
}

func (e *StartError) Error() string {
	var parts []string
	if e.Deployment != "" {
		parts = append(parts, "Deployment "+e.Deployment)
	} else {
		parts = append(parts, "pod "+e.Pod)
	}
	if e.Container != "" {
		parts = append(parts, fmt.Sprintf("container %q", e.Container))
	}
	text := strings.Join(parts, ", ") + ": " + e.Reason
	if e.Exit != "" {
		text += " after " + e.Exit
	}
	if e.Message != "" {
		text += ": " + firstLine(e.Message)
	}
	return text
}

// hopeless are the reasons for which a container waits that do not go by
// themselves. A first failed pull is none: the next one may succeed.
var hopeless = []string{
	"ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", crashing,
}

// crashing is what the cluster calls a container that ends again and again. It
// does so only when the pause before the next start is long enough to be seen.
const crashing = "CrashLoopBackOff"

// waitsFor returns why a container has not come to run, and what the cluster says
// of it; the reason is "" while it may still run.
func waitsFor(status corev1.ContainerStatus) (reason, message string) {
	waiting, end := status.State.Waiting, status.State.Terminated
	switch {
	case waiting != nil && slices.Contains(hopeless, waiting.Reason):
		return waiting.Reason, cmp.Or(waiting.Message, "no message")
	case end != nil && end.ExitCode != 0 && status.RestartCount > 0:
		return crashing, fmt.Sprintf("it was started %d times", status.RestartCount+1)
	default:
		return "", ""
	}
}

// stuck returns why a pod will never start the container that runs the release,
// nil as long as it may. What becomes of that container once it has started is
// for the health check to find.
func stuck(pod *corev1.Pod, container string) *StartError {
	if hasStarted(statusOf(pod, container)) {
		return nil
	}
	return held(pod, "")
}

// held returns which container of a pod, other than this one, will never run, nil
// as long as all may.
func held(pod *corev1.Pod, except string) *StartError {
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if status.Name == except {
			continue
		}
		if reason, message := waitsFor(status); reason != "" {
			return &StartError{Pod: pod.Name, Container: status.Name, Reason: reason, Message: message, Exit: exitOf(status)}
		}
	}
	return nil
}

// unschedulable returns why no node takes the pod, "" where one may.
func unschedulable(pod *corev1.Pod) string {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse && condition.Reason == corev1.PodReasonUnschedulable {
			return cmp.Or(condition.Message, "no node takes it")
		}
	}
	return ""
}
