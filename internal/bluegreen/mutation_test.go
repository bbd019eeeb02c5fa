// SPDX-License-Identifier: MPL-2.0

//go:build mutation

package bluegreen_test

import "flag"

// A mutant is dead with the first failure: nobody reads the smallest example.
func init() {
	if err := flag.Set("rapid.shrinktime", "0s"); err != nil {
		panic(err)
	}
}
