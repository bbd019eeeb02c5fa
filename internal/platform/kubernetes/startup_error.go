// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// StartError reports a pod, or a Deployment, that cannot start without a change.
type StartError struct {
	// Deployment is set if the cluster creates no pods for it. Otherwise Pod is set.
	Deployment, Pod string
	// Container is the container that cannot start, or "" if the pod has no node.
	Container string
	// Reason is the reason that the cluster gives, such as "ImagePullBackOff".
	Reason  string
	Message string
	// Exit says how the container ended last. It is "" if the container has not run.
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

// withLogs adds the last lines of the log to a StartError about a container.
func (p *Platform) withLogs(ctx context.Context, run *lockedRun, err error) error {
	var failure *StartError
	if errors.As(err, &failure) && failure.Exit != "" {
		// If the log cannot be read, the error is reported without it.
		failure.Logs, _ = run.API().Logs(ctx, p.opts.Namespace, failure.Pod, failure.Container, false, startErrorLines)
	}
	return err
}
