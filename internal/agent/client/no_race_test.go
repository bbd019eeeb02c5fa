// SPDX-License-Identifier: MPL-2.0

//go:build !race

package client_test

// raceMemory is nothing: this program does not look for races.
const raceMemory = 0
