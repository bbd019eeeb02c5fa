// SPDX-License-Identifier: MPL-2.0

//go:build !unix

package durable

// CheckSupported returns nil where the agent can work, ErrUnsupported elsewhere.
func CheckSupported() error { return ErrUnsupported }

// WriteFile returns ErrUnsupported.
func WriteFile(string, []byte) error { return ErrUnsupported }

// SyncDir returns ErrUnsupported.
func SyncDir(string) error { return ErrUnsupported }
