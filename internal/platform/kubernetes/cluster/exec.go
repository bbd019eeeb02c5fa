// SPDX-License-Identifier: MPL-2.0

package cluster

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
)

// maxOutput is how many bytes of a command's output are kept, from its end.
const maxOutput = 4 << 10

// Exec runs a command in a container. If the command fails, the error has its exit status
// and the last line of its output.
func (a *API) Exec(ctx context.Context, namespace, pod, container string, command []string) error {
	executor, err := a.executor(namespace, pod, &corev1.PodExecOptions{
		Container: container, Command: command, Stdout: true, Stderr: true,
	})
	if err != nil {
		return fmt.Errorf("exec in pod %s: %w", pod, err)
	}
	var output tailBuffer
	err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &output, Stderr: &output})
	var exit exec.CodeExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case !errors.As(err, &exit):
		return execError(pod, err)
	case output.lastLine() == "":
		return fmt.Errorf("exit status %d", exit.Code)
	default:
		return fmt.Errorf("exit status %d: %s", exit.Code, output.lastLine())
	}
}

// executor runs a command over a WebSocket, or over SPDY if the cluster does not support
// WebSockets.
func (a *API) executor(namespace, pod string, options *corev1.PodExecOptions) (remotecommand.Executor, error) {
	request := a.core.Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("exec").
		VersionedParams(options, parameterCodec())
	byWebSocket, err := remotecommand.NewWebSocketExecutor(a.streams, "GET", request.URL().String())
	if err != nil {
		return nil, err
	}
	bySPDY, err := remotecommand.NewSPDYExecutor(a.streams, "POST", request.URL())
	if err != nil {
		return nil, err
	}
	return remotecommand.NewFallbackExecutor(byWebSocket, bySPDY, isWebSocketRefused)
}

// tailBuffer keeps the end of what is written to it. Two goroutines write to it at the
// same time, one for each output of the command.
type tailBuffer struct {
	mu   sync.Mutex
	kept []byte
}

func (t *tailBuffer) Write(text []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, text...)
	t.kept = t.kept[max(len(t.kept)-maxOutput, 0):]
	return len(text), nil
}

func (t *tailBuffer) lastLine() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(string(bytes.TrimSpace(t.kept)), "\n")
	return lines[len(lines)-1]
}
