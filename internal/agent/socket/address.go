// SPDX-License-Identifier: MPL-2.0

package socket

import "net"

// CheckAddress returns an *AddressError unless address is host:port.
func CheckAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return &AddressError{Address: address, Err: err}
	}
	return nil
}

// CheckFree returns an *AddressError if address is in use, or if no program
// on this machine can listen on it.
func CheckFree(address string) error {
	listener, err := Listen(address)
	if err != nil {
		return NameHolder(&AddressError{Address: address, Err: CauseOf(err)})
	}
	return listener.Close()
}
