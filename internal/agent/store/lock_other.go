// SPDX-License-Identifier: MPL-2.0

//go:build !unix

package store

import (
	"os"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
)

// LockFile returns ErrUnsupported.
func LockFile(string) (*os.File, error) { return nil, durable.ErrUnsupported }
