// SPDX-License-Identifier: MPL-2.0

//go:build !unix

package agent

import (
	"net"
	"os"
	"syscall"
)

func lockFile(string) (*os.File, error) { return nil, ErrUnsupported }

func sendFile(*net.UnixConn, byte, syscall.Conn) error { return ErrUnsupported }

func receiveFile(*net.UnixConn) (byte, *os.File, error) { return 0, nil, ErrUnsupported }
