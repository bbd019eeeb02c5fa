// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"context"
	"io"
	"strconv"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/printable"
)

// Logs implements bluegreen.Workloads.
func (p *Platform) Logs(ctx context.Context, instance bluegreen.Instance, n int) (lines []string, err error) {
	defer p.engine.explain(&err)
	return p.engine.logs(ctx, containerOf(instance.Ref()), n)
}

// logs returns the last n lines that a container wrote, or fewer, the oldest first.
func (e *engine) logs(ctx context.Context, container string, n int) ([]string, error) {
	options := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: strconv.Itoa(n)}
	stream, err := e.ContainerLogs(ctx, container, options)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	reader, writer := io.Pipe()
	go func() {
		_, err := stdcopy.StdCopy(writer, writer, stream)
		writer.CloseWithError(err)
	}()
	defer reader.Close()
	return printable.LastLines(reader, n)
}
