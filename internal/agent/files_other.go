// SPDX-License-Identifier: MPL-2.0

//go:build !unix

package agent

import "io/fs"

// Supported returns nil where the agent can work, ErrUnsupported elsewhere.
func Supported() error { return ErrUnsupported }

func writeFile(string, []byte) error { return ErrUnsupported }

func syncDir(string) error { return ErrUnsupported }

func checkPrivate(fs.FileInfo) error { return ErrUnsupported }
