// SPDX-License-Identifier: MPL-2.0

package socket

import (
	"errors"
	"fmt"
	"syscall"
)

// AddressError is an address that a deployment cannot listen on.
type AddressError struct {
	// Preview is true for an address of the preview, false for one of the live environment.
	Preview bool   `json:"preview"`
	Address string `json:"address"`
	// Deployment has the address, if it is one of this state directory's.
	Deployment string `json:"deployment,omitempty"`
	Err        error  `json:"-"`
}

func (e *AddressError) Error() string {
	if e.Deployment != "" {
		return fmt.Sprintf("cannot listen on %s: deployment %q has that address", e.Address, e.Deployment)
	}
	return fmt.Sprintf("cannot listen on %s: %v", e.Address, e.Err)
}

func (e *AddressError) Unwrap() error { return e.Err }

// CauseOf returns the part of the error of a bind that tells why: "address already in use".
func CauseOf(err error) error {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number
	}
	return err
}

// NameHolder returns err. If it is an *AddressError, it also says who has the address, as far as the
// system shows that. It looks at all processes of the machine, so that no caller holds a lock.
func NameHolder(err error) error {
	taken, ok := errors.AsType[*AddressError](err)
	if !ok || !errors.Is(taken.Err, syscall.EADDRINUSE) {
		return err
	}
	holder := describeHolder(taken.Address)
	if holder == "" {
		return err
	}
	named := *taken
	named.Err = fmt.Errorf("%w by %s", taken.Err, holder)
	return &named
}
