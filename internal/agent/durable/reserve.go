// SPDX-License-Identifier: MPL-2.0

package durable

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// IsNoSpace reports whether err says that the disk is full, or that the user may use no more of it.
func IsNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

const (
	// reservePieces is how many files the reserve has. Each gives back a name as well as its bytes:
	// a disk may be out of either.
	reservePieces = 16
	// reserveBytes is the size of each.
	reserveBytes = 64 << 10
)

// Reserve is space that is kept for what must be written while the disk is full. Others may take
// what it gives back, so that it gives back no more than is needed. It is safe for concurrent use.
type Reserve struct {
	dir string
	// mu is locked while space is given back or taken again.
	mu sync.Mutex
}

// OpenReserve returns the reserve in dir, which need not exist.
func OpenReserve(dir string) *Reserve { return &Reserve{dir: dir} }

// Use calls write, and again with more space as long as the disk is full and something is left of
// the reserve. write must be able to follow an attempt that has failed.
func (r *Reserve) Use(write func() error) error {
	err := write()
	if !IsNoSpace(err) {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for piece := 0; IsNoSpace(err) && piece < reservePieces; piece++ {
		if os.Remove(r.piece(piece)) == nil {
			err = write()
		}
	}
	return err
}

// Refill takes the space again that was given back. An error says that the disk is full.
func (r *Reserve) Refill() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := os.Mkdir(r.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("keeping a reserve of the disk: %w", err)
	}
	for piece := range reservePieces {
		path := r.piece(piece)
		if info, err := os.Stat(path); err == nil && info.Size() == reserveBytes {
			continue
		}
		// Zeros would take no space where the file system compresses.
		content := make([]byte, reserveBytes)
		_, _ = rand.Read(content) // It never fails.
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return errors.Join(fmt.Errorf("keeping a reserve of the disk: %w", err), os.Remove(path))
		}
	}
	return nil
}

func (r *Reserve) piece(number int) string { return filepath.Join(r.dir, fmt.Sprintf("%02d", number)) }
