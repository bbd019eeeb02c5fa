// SPDX-License-Identifier: MPL-2.0

// Package durable reads and writes files that must survive a crash of the machine, and keeps a
// reserve of the disk for them.
//
// When WriteFile, WriteJSON, SyncDir or SyncTree returns nil, what it wrote is on
// the disk. A reader sees either the former content of a file or the new one, and
// never a part. A file that cannot be understood is reported as an
// UnreadableError; it is neither guessed at nor replaced.
package durable
