// SPDX-License-Identifier: MPL-2.0

//go:build !unix

package socket

import (
	"net"
	"os"
)

func duplicateFile(original *net.TCPListener) (*os.File, error) { return original.File() }
