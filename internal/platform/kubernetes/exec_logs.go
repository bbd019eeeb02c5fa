// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Exec implements bluegreen.Workloads. It runs the command in the container that runs the
// release.
func (p *Platform) Exec(ctx context.Context, instance bluegreen.Instance, command []string) error {
	pod, w, err := p.podOf(ctx, instance)
	if err != nil {
		return err
	}
	api, err := p.client.API()
	if err != nil {
		return err
	}
	return explainUnanswered(api.Exec(ctx, p.opts.Namespace, pod.Name, w.container, command))
}

// Logs implements bluegreen.Workloads. If the container was restarted after the run of
// the instance, Logs returns the log of the last run that ended. The cluster keeps no
// older one.
func (p *Platform) Logs(ctx context.Context, instance bluegreen.Instance, n int) ([]string, error) {
	numbered, w, err := p.podOf(ctx, instance)
	if err != nil {
		return nil, err
	}
	api, err := p.client.API()
	if err != nil {
		return nil, err
	}
	pod, err := api.Pods(p.opts.Namespace).Get(ctx, numbered.Name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading pod %s: %w", numbered.Name, err)
	}
	_, restarts := parseIncarnation(instance.Incarnation)
	status := containerStatus(pod, w.container)
	isPrevious := status.RestartCount > restarts && status.State.Running != nil
	return api.Logs(ctx, p.opts.Namespace, pod.Name, w.container, isPrevious, n)
}
