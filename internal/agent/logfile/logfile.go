// SPDX-License-Identifier: MPL-2.0

// Package logfile writes logs to files of limited size. A file that somebody else moves or
// removes, such as logrotate, is left alone from then on: the log goes on in a new one.
package logfile

import (
	"os"
	"path/filepath"
	"sync"
	"time"

	"gopkg.in/natefinch/lumberjack.v2"
)

// lookInterval is how often it is looked whether somebody else has moved or removed the file.
const lookInterval = time.Second

// File is a log. When it is full it gets another name, and the oldest of those is removed. It
// is made by the first write, and by the first one after Close. A File is kept for good, because
// it has a goroutine that never ends. It is safe for concurrent use.
type File struct {
	path string
	// interval is lookInterval, but for tests.
	interval time.Duration

	mu  sync.Mutex
	log lumberjack.Logger
	// present is the file as it was after the last look, nil before the first write.
	present os.FileInfo
	looked  time.Time
}

// New returns the log at path, which may have so many megabytes, and as many in each of the
// backups that are kept.
func New(path string, megabytes, backups int) *File {
	return &File{
		path: path, interval: lookInterval,
		log: lumberjack.Logger{Filename: path, MaxSize: megabytes, MaxBackups: backups},
	}
}

// Write implements io.Writer.
func (f *File) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.looked) < f.interval {
		return f.log.Write(p)
	}
	f.leaveMoved()
	f.create()
	n, err := f.log.Write(p)
	f.looked = time.Now()
	if present, err := os.Stat(f.path); err == nil {
		f.present = present
	}
	return n, err
}

// leaveMoved closes the file if another one, or none, has its name now. If its directory is gone
// too, the file stays open, because the next write would make the directory again.
func (f *File) leaveMoved() {
	if _, err := os.Stat(filepath.Dir(f.path)); f.present == nil || err != nil {
		return
	}
	if info, err := os.Stat(f.path); err != nil || !os.SameFile(f.present, info) {
		// What was written is in the file.
		_ = f.log.Close()
	}
}

// create makes the file if there is none. The library would open a new file in a way that its
// writes overwrite those of another process, such as an agent that has just left.
func (f *File) create() {
	if f.present != nil || os.MkdirAll(filepath.Dir(f.path), 0o755) != nil {
		return
	}
	// The write says what is wrong.
	if file, err := os.OpenFile(f.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err == nil {
		_ = file.Close()
	}
}

// Close implements io.Closer.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.log.Close()
}
