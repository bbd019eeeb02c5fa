// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package main

import (
	"fmt"
	"os"
	"runtime"
)

func main() {
	fmt.Fprintf(os.Stderr, "testbed: pods need Linux; this is %s\n", runtime.GOOS)
	os.Exit(1)
}
