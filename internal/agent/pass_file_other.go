// SPDX-License-Identifier: MPL-2.0

//go:build !unix

package agent

import (
	"net"
	"os"
	"syscall"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
)

func sendFile(*net.UnixConn, byte, syscall.Conn) error { return durable.ErrUnsupported }

func receiveFile(*net.UnixConn) (byte, *os.File, error) { return 0, nil, durable.ErrUnsupported }
