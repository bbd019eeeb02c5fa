// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// maxLogBytes bounds what is read for the last lines of a log.
const maxLogBytes = 64 << 10

// Logs implements bluegreen.Workloads. Of a container that was restarted since it
// returns what the run before wrote, which is all that the cluster keeps.
func (p *Platform) Logs(ctx context.Context, instance bluegreen.Instance, n int) ([]string, error) {
	known, w, err := p.podOf(ctx, instance)
	if err != nil {
		return nil, err
	}
	api, err := p.client.open()
	if err != nil {
		return nil, err
	}
	pod, err := api.pods(p.opts.Namespace).Get(ctx, known.Name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading pod %s: %w", known.Name, err)
	}
	_, restarts := runOf(instance.Incarnation)
	status := statusOf(pod, w.container)
	former := status.RestartCount > restarts && status.State.Running != nil
	return readLogs(ctx, api, p.opts.Namespace, known.Name, &corev1.PodLogOptions{Container: w.container, Previous: former}, n)
}

func readLogs(ctx context.Context, a *api, namespace, pod string, options *corev1.PodLogOptions, n int) ([]string, error) {
	lines, limit := int64(n), int64(maxLogBytes)
	options.TailLines, options.LimitBytes = &lines, &limit
	text, err := a.core.Get().Resource("pods").Namespace(namespace).Name(pod).SubResource("log").
		VersionedParams(options, parameters()).DoRaw(ctx)
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
