// SPDX-License-Identifier: MPL-2.0

// Package listener tells which processes listen on the TCP ports of this machine.
//
// On Linux the system shows the inode of every socket that listens, and which process holds
// which inode to those who may see it. On macOS and FreeBSD a program of the system, lsof or
// sockstat, tells the process. On other systems nothing is known: see IsSupported.
package listener
