// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"path/filepath"
	"sync"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/logfile"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
)

const (
	// accessLogMegabytes is the size at which an access log is rotated.
	accessLogMegabytes = 10
	// accessLogBackups is how many rotated files are kept.
	accessLogBackups = 3
)

// accessLogFile is the access log of a deployment. Requests may end after the deployment has
// been removed. They are not logged, because that would make its directory again.
type accessLogFile struct {
	// check returns an error if the directory is that of another agent now.
	check func() error

	mu     sync.Mutex
	file   *logfile.File
	closed bool
}

// newAccessLogFile returns the access log of the deployment whose directory is dir. The file
// is made by the first write. Nothing is written while check returns an error.
func newAccessLogFile(dir string, check func() error) *accessLogFile {
	return &accessLogFile{
		check: check,
		file:  logfile.New(filepath.Join(dir, store.AccessLogName), accessLogMegabytes, accessLogBackups),
	}
}

func (f *accessLogFile) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || f.check() != nil {
		return len(p), nil
	}
	return f.file.Write(p)
}

func (f *accessLogFile) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	// What was written is in the file.
	_ = f.file.Close()
}
