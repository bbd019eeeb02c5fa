// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// maxOutput is how much of a command's output is kept, from its end.
const maxOutput = 4 << 10

// Exec implements bluegreen.Workloads, by pods/exec.
func (p *Platform) Exec(ctx context.Context, instance bluegreen.Instance, command []string) error {
	pod, w, err := p.podOf(ctx, instance)
	if err != nil {
		return err
	}
	api, err := p.client.open()
	if err != nil {
		return err
	}
	executor, err := api.executor(p.opts.Namespace, pod.Name, &corev1.PodExecOptions{
		Container: w.container, Command: command, Stdout: true, Stderr: true,
	})
	if err != nil {
		return fmt.Errorf("exec in pod %s: %w", pod.Name, err)
	}
	var output tail
	err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &output, Stderr: &output})
	var exit exec.CodeExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case !errors.As(err, &exit):
		return fmt.Errorf("exec in pod %s: %w", pod.Name, err)
	case output.lastLine() == "":
		return fmt.Errorf("exit status %d", exit.Code)
	default:
		return fmt.Errorf("exit status %d: %s", exit.Code, output.lastLine())
	}
}

// executor runs a command over a WebSocket where the cluster can.
func (a *api) executor(namespace, pod string, options *corev1.PodExecOptions) (remotecommand.Executor, error) {
	request := a.core.Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("exec").
		VersionedParams(options, parameters())
	byWebSocket, err := remotecommand.NewWebSocketExecutor(a.config, "GET", request.URL().String())
	if err != nil {
		return nil, err
	}
	bySPDY, err := remotecommand.NewSPDYExecutor(a.config, "POST", request.URL())
	if err != nil {
		return nil, err
	}
	return remotecommand.NewFallbackExecutor(byWebSocket, bySPDY, withoutWebSocket)
}

// tail keeps the end of what is written to it. Both outputs of a command are
// copied by one goroutine each.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

func (t *tail) Write(text []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, text...)
	t.kept = t.kept[max(len(t.kept)-maxOutput, 0):]
	return len(text), nil
}

func (t *tail) lastLine() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(string(bytes.TrimSpace(t.kept)), "\n")
	return lines[len(lines)-1]
}
