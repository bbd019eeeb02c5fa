// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package process

import (
	"errors"
	"io"
	"net"
	"os"
)

// claimPort claims nothing: these systems have no names that end with the process.
func claimPort(int) (io.Closer, error) { return io.NopCloser(nil), nil }

// bindPort returns an error if the port is not free. It does not keep it.
func bindPort(port int) (*os.File, error) {
	listener, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return nil, err
	}
	return nil, listener.Close()
}

// listen is for the launcher.
func (p boundPort) listen() error { return errors.ErrUnsupported }

// EphemeralPorts is for Linux.
func EphemeralPorts() PortRange { return PortRange{} }
