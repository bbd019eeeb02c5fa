// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// maxLogBytes limits what is read for the last lines of a log.
const maxLogBytes = 64 << 10

// Logs returns the last n lines that a container wrote, or fewer if they are long.
// previous asks for the run before the last restart.
func (a *API) Logs(ctx context.Context, namespace, pod, container string, previous bool, n int) ([]string, error) {
	lines, limit := int64(n), int64(maxLogBytes)
	options := &corev1.PodLogOptions{Container: container, Previous: previous, TailLines: &lines, LimitBytes: &limit}
	text, err := a.core.Get().Resource("pods").Namespace(namespace).Name(pod).SubResource("log").
		VersionedParams(options, parameterCodec()).DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the log of pod %s: %w", pod, err)
	}
	written := strings.TrimSuffix(string(text), "\n")
	if written == "" || n < 1 {
		return nil, nil
	}
	split := strings.Split(written, "\n")
	return split[max(len(split)-n, 0):], nil
}
