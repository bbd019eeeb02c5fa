// SPDX-License-Identifier: MPL-2.0

//go:build !unix

package durable

// CheckSupported returns nil if the agent can work on this system, else ErrUnsupported.
func CheckSupported() error { return ErrUnsupported }

// WriteFile returns ErrUnsupported.
func WriteFile(string, []byte) error { return ErrUnsupported }

// SyncDir returns ErrUnsupported.
func SyncDir(string) error { return ErrUnsupported }
