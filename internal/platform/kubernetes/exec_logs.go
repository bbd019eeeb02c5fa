// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Exec implements bluegreen.Workloads, by pods/exec.
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

// Logs implements bluegreen.Workloads. Where the container was restarted since, it
// returns the log of the previous run, which is all that the cluster keeps.
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
