// SPDX-License-Identifier: MPL-2.0

//go:build mutation

package bluegreen_test

import "flag"

// The first failure kills a mutant, so rapid need not look for the smallest example.
func init() {
	if err := flag.Set("rapid.shrinktime", "0s"); err != nil {
		panic(err)
	}
}
