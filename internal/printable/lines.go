// SPDX-License-Identifier: MPL-2.0

package printable

import (
	"bufio"
	"errors"
	"io"
)

// maxLine is how many bytes of a line are read. The rest of a longer one is left out.
const maxLine = 64 << 10

// LastLines returns the last n lines of log, or fewer, the oldest first. With an error of
// log it returns the last ones before it.
func LastLines(log io.Reader, n int) ([]string, error) {
	buffered := bufio.NewReaderSize(log, maxLine)
	var last []string
	for isRest := false; ; {
		line, isPart, err := buffered.ReadLine()
		if errors.Is(err, io.EOF) {
			return last, nil
		}
		if err != nil {
			return last, err
		}
		if !isRest {
			last = append(last, string(line))
			last = last[max(len(last)-n, 0):]
		}
		isRest = isPart
	}
}
