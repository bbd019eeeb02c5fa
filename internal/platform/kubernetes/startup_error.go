// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// StartError means that a pod, or a Deployment, cannot start without a change.
type StartError struct {
	// Deployment is set where the cluster creates no pods for it; else Pod is set.
	Deployment, Pod string
	// Container is the one of the pod that cannot start, "" where the pod has no node.
	Container string
	// Reason is the cluster's word for it: "ImagePullBackOff".
	Reason  string
	Message string
	// Exit says how the container ended last, "" where it has not run.
	Exit string
	// Logs are the last lines that the container wrote. They are shown and not stored.
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

// startErrorLines is how many of a container's last lines a StartError has.
const startErrorLines = 10

// withLogs adds the last lines of its container to a StartError.
func (p *Platform) withLogs(ctx context.Context, run *lockedRun, err error) error {
	var failure *StartError
	if errors.As(err, &failure) && failure.Exit != "" {
		// The logs are an extra: without them the error is complete.
		failure.Logs, _ = run.API().Logs(ctx, p.opts.Namespace, failure.Pod, failure.Container, false, startErrorLines)
	}
	return err
}
