// SPDX-License-Identifier: MPL-2.0

//go:build !unix

package store

import (
	"io/fs"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
)

func checkPrivate(fs.FileInfo) error { return durable.ErrUnsupported }
