// SPDX-License-Identifier: MPL-2.0

//go:build !unix

package router

// canReuse is false where isQuiet cannot tell what has arrived without waiting for it. Each
// request then gets a connection of its own.
const canReuse = false

type arrival struct{}

func (*replicaConn) isQuiet() bool { return false }
