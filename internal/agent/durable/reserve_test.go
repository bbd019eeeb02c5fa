// SPDX-License-Identifier: MPL-2.0

package durable_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
)

// The reserve gives back as much as a write needs, and takes it again later.
func TestReserveGivesBackWhatIsNeeded(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "reserve")
	reserve := durable.OpenReserve(dir)
	refill := func() (pieces int) {
		t.Helper()
		if err := reserve.Refill(); err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	full := refill()
	left := func() int {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	for _, failure := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		attempts := 0
		err := reserve.Use(func() error {
			if attempts++; attempts <= 2 {
				return fmt.Errorf("writing: %w", failure)
			}
			return nil
		})
		if err != nil || left() != full-2 {
			t.Errorf("%v: %d of %d pieces are left, %v", failure, left(), full, err)
		}
		if got := refill(); got != full {
			t.Errorf("refilled are %d of %d pieces", got, full)
		}
	}
	if err := reserve.Use(func() error { return syscall.EIO }); !errors.Is(err, syscall.EIO) || left() != full {
		t.Errorf("another error: %d of %d pieces are left, %v", left(), full, err)
	}
	if err := reserve.Use(func() error { return syscall.ENOSPC }); !durable.IsNoSpace(err) || left() != 0 {
		t.Errorf("a disk that stays full: %d pieces are left, %v", left(), err)
	}
}

// A write does not wait for another one that has space, such as one to a slow disk.
func TestWritesDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	reserve := durable.OpenReserve(filepath.Join(t.TempDir(), "reserve"))
	written := make(chan struct{})
	err := reserve.Use(func() error {
		go func() { _ = reserve.Use(func() error { close(written); return nil }) }()
		select {
		case <-written:
			return nil
		case <-time.After(10 * time.Second):
			return errors.New("the other write waits")
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// A file system that compresses keeps all the space of the reserve.
func TestReserveDoesNotCompress(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "reserve")
	if err := durable.OpenReserve(dir).Refill(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(dir, "00"))
	if err != nil {
		t.Fatal(err)
	}
	var compressed bytes.Buffer
	writer := gzip.NewWriter(&compressed)
	if _, err := writer.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil || compressed.Len() < len(content) {
		t.Errorf("%d bytes are %d when compressed, %v", len(content), compressed.Len(), err)
	}
}
