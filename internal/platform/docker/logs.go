// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"bufio"
	"context"
	"io"
	"strconv"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Logs implements bluegreen.Workloads.
func (p *Platform) Logs(ctx context.Context, instance bluegreen.Instance, n int) (lines []string, err error) {
	defer p.engine.explain(&err)
	return p.engine.logs(ctx, containerOf(instance.Ref()), n)
}

// maxLine is how many bytes a line of a log may have.
const maxLine = 1 << 20

// logs returns the last n lines that a container wrote, or fewer, the oldest first.
func (e *engine) logs(ctx context.Context, container string, n int) (lines []string, err error) {
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
	scanner := bufio.NewScanner(reader)
	scanner.Buffer(nil, maxLine)
	for scanner.Scan() {
		lines = append(lines, scanner.Text())
	}
	return lines[max(len(lines)-n, 0):], scanner.Err()
}
