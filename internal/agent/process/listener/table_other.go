// SPDX-License-Identifier: MPL-2.0

//go:build !linux && !darwin && !freebsd

package listener

import "time"

// IsSupported is false where this package knows nothing. Read then returns nothing.
const IsSupported = false

// A table is worth its cost for a replica that has just started after FirstLook, and for one
// that listens every LookInterval.
const (
	FirstLook    = time.Hour
	LookInterval = time.Hour
)

// Read returns nothing.
func Read() (Table, error) { return nil, nil }
