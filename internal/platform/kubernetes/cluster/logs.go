// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/printable"
)

// maxLogBytes limits what is read for the last lines of a log. It is the beginning of them
// that is read: with a low limit one long line would hide those after it.
const maxLogBytes = 16 << 20

// Logs returns the last n lines that a container wrote, or fewer if they are very long.
// previous asks for the run before the last restart.
func (a *API) Logs(ctx context.Context, namespace, pod, container string, previous bool, n int) ([]string, error) {
	lines, limit := int64(n), int64(maxLogBytes)
	options := &corev1.PodLogOptions{Container: container, Previous: previous, TailLines: &lines, LimitBytes: &limit}
	log, err := a.core.Get().Resource("pods").Namespace(namespace).Name(pod).SubResource("log").
		VersionedParams(options, parameterCodec()).Stream(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the log of pod %s: %w", pod, err)
	}
	defer log.Close()
	last, err := printable.LastLines(log, n)
	if err != nil {
		return nil, fmt.Errorf("reading the log of pod %s: %w", pod, err)
	}
	return last, nil
}
