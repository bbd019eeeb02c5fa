// SPDX-License-Identifier: MPL-2.0

package images

import (
	"context"
	"errors"
	"os"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
)

// Digest returns the digest that a copy of the image would have. It copies it for a while, because
// only a copy has what links and archives lead to.
func Digest(ctx context.Context, image Image) (digest string, err error) {
	k, err := kindOf(image.Path, image.Command)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "bluegreen-image-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, durable.RemoveTree(context.WithoutCancel(ctx), dir)) }()
	if err := copyImage(ctx, dir, image, k, defaultLimits); err != nil {
		return "", &Error{Path: image.Path, Err: err}
	}
	all, err := list(ctx, dir)
	return digestOf(all.text()), err
}
