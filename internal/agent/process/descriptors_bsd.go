// SPDX-License-Identifier: MPL-2.0

//go:build unix && !linux

package process

import "github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"

// closeAllOnExec returns an error: macOS has no such call, and the others' differ.
func closeAllOnExec() error { return durable.ErrUnsupported }
