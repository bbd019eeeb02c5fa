// SPDX-License-Identifier: MPL-2.0

//go:build !unix

package router

import "syscall"

// canPeek is false where it cannot be told what has arrived on a connection without waiting
// for it. Each request then gets a connection of its own to its replica, and no client's
// connection is parked.
const canPeek = false

type arrival struct{}

func (*replicaConn) isQuiet() bool { return false }

func awaitData(syscall.RawConn) bool { return false }
