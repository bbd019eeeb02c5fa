// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package socket

// describeHolder is for Linux.
func describeHolder(string) string { return "" }
