// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/moby/moby/client"

	agentclient "github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// UnreachableError reports that no engine answers.
type UnreachableError struct {
	// Address is the engine's address from the configuration or the environment.
	Address string
	Err     error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("the Docker engine at %s cannot be reached: %v", e.Address, e.Err)
}

// Unwrap makes the cause visible. An engine that does not answer says nothing about an
// instance.
func (e *UnreachableError) Unwrap() []error { return []error{bluegreen.ErrCouldNotAsk, e.Err} }

// explainUnanswered returns err as one of bluegreen.ErrCouldNotAsk if the agent did not
// answer. Other errors come from the instance, and it returns them as they are.
func explainUnanswered(err error) error {
	if agentclient.IsUnavailable(err) {
		return fmt.Errorf("%w: %w", bluegreen.ErrCouldNotAsk, err)
	}
	return err
}

// ImageError reports an image that the host does not have and cannot pull.
type ImageError struct {
	// Image is the image's reference.
	Image string
	Err   error
}

func (e *ImageError) Error() string { return fmt.Sprintf("image %s: %v", e.Image, e.Err) }

func (e *ImageError) Unwrap() error { return e.Err }

// explain replaces the error that a method is about to return by an UnreachableError if
// the engine could not be reached.
func (e *engine) explain(err *error) {
	if !client.IsErrConnectionFailed(*err) {
		return
	}
	cause := *err
	// net/http wraps the cause with a method and an address that is made up.
	var wrapped *url.Error
	if errors.As(cause, &wrapped) {
		cause = wrapped.Err
	}
	*err = &UnreachableError{e.address, cause}
}
