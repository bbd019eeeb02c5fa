// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/moby/moby/client"
)

// UnreachableError: no engine answers.
type UnreachableError struct {
	// Address is the engine's, as it was configured or found.
	Address string
	Err     error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("the Docker engine at %s cannot be reached: %v", e.Address, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// ImageError is an image that the host does not have and cannot get.
type ImageError struct {
	// Image is its reference.
	Image string
	Err   error
}

func (e *ImageError) Error() string { return fmt.Sprintf("image %s: %v", e.Image, e.Err) }

func (e *ImageError) Unwrap() error { return e.Err }

// explain turns the error that a method is about to return into one that names
// the engine, where it is the engine that could not be reached.
func (e *engine) explain(err *error) {
	if !client.IsErrConnectionFailed(*err) {
		return
	}
	cause := *err
	// net/http puts a method and a made-up address around the cause.
	var wrapped *url.Error
	if errors.As(cause, &wrapped) {
		cause = wrapped.Err
	}
	*err = &UnreachableError{e.address, cause}
}
