// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import "errors"

func isForeign(err error, kind string) bool {
	var foreign *ForeignError
	return errors.As(err, &foreign) && foreign.Kind == kind
}
