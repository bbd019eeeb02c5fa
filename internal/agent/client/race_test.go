// SPDX-License-Identifier: MPL-2.0

//go:build race

package client_test

// raceMemory is what looking for races takes in every process, in kilobytes. It was 18 MB.
const raceMemory = 32 << 10
