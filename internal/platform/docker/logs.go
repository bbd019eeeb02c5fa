// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"bufio"
	"context"
	"io"
	"strconv"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// longestLine is how long a line of a log may be.
const longestLine = 1 << 20

// logs returns at most the last n lines that a container wrote, oldest first.
func (e *engine) logs(ctx context.Context, container string, n int) (lines []string, err error) {
	stream, err := e.ContainerLogs(ctx, container, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: strconv.Itoa(n)})
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
	scanner.Buffer(nil, longestLine)
	for scanner.Scan() {
		lines = append(lines, scanner.Text())
	}
	return lines[max(len(lines)-n, 0):], scanner.Err()
}
