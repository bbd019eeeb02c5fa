// SPDX-License-Identifier: MPL-2.0

package process

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/logfile"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/printable"
)

// How much a replica's output may take: two files of 10 MB.
const (
	outputMegabytes = 10
	outputBackups   = 1
)

const (
	// outputPipe is the pipe that a replica writes to.
	outputPipe = "output"
	// outputFile is what a replica has written.
	outputFile = "output.log"
)

// logTail is how much of a log is searched for its last lines.
const logTail = 256 << 10

// outputs are the log files of the replicas. A logger is kept for good, because
// each has a goroutine of its own that never ends; there are no more of them
// than names of replicas.
type outputs struct {
	// check is Manager.checkFiles.
	check func() error

	mu      sync.Mutex
	loggers map[string]*logfile.File
}

func newOutputs() *outputs { return &outputs{loggers: map[string]*logfile.File{}} }

// file returns the log file at path, which is rotated. It is opened by the first
// write, and by the first one after Close.
func (o *outputs) file(path string) io.WriteCloser {
	o.mu.Lock()
	defer o.mu.Unlock()
	logger, ok := o.loggers[path]
	if !ok {
		logger = logfile.New(path, outputMegabytes, outputBackups)
		o.loggers[path] = logger
	}
	return output{logger, o.check}
}

// output is the log of one replica.
type output struct {
	*logfile.File

	check func() error
}

// Write implements io.Writer. What cannot be stored is dropped, so that the replica goes on.
func (o output) Write(p []byte) (int, error) {
	if o.check() == nil {
		return o.File.Write(p)
	}
	return len(p), nil
}

// pump copies a replica's output to log until the last writer has closed the
// pipe or the pipe is closed here. A log that cannot be written, on a full disk
// say, must not hold the replica up.
func pump(pipe *os.File, log io.Writer) {
	defer pipe.Close()
	buffer := make([]byte, 8<<10)
	for {
		n, err := pipe.Read(buffer)
		if n > 0 {
			_, _ = log.Write(buffer[:n])
		}
		if err != nil {
			return
		}
	}
}

// Logs returns at most the last n lines that the replica whose directory is dir
// has written, oldest first.
func Logs(dir string, n int) ([]string, error) { return LastLines(filepath.Join(dir, outputFile), n) }

// LastLines returns at most the last n lines of the file at path, oldest first.
func LastLines(path string, n int) ([]string, error) {
	file, err := durable.OpenRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	begin := max(0, info.Size()-logTail)
	tail, err := io.ReadAll(io.NewSectionReader(file, begin, logTail))
	if err != nil {
		return nil, err
	}
	if begin > 0 {
		// The first line is probably only the end of one. It is shown if there is no other.
		if _, rest, found := bytes.Cut(tail, []byte{'\n'}); found && len(rest) > 0 {
			tail = rest
		}
	}
	return lastLines(tail, n)
}

// lastLines returns the last n lines of text that are not empty lines at its end.
func lastLines(text []byte, n int) ([]string, error) {
	return printable.LastLines(bytes.NewReader(bytes.TrimRight(text, "\n")), n)
}
