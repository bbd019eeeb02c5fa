// SPDX-License-Identifier: MPL-2.0

// Package images keeps copies of what is deployed: an executable, a directory, or
// an archive. Overwriting or removing the original later changes nothing that runs.
//
// # What a digest guarantees
//
// A copy is found by the digest of its content: of the paths, modes and bytes of
// all files. Two images with the same digest are the same copy, and a directory
// and an archive of it have the same digest. A copy with a digest is complete and
// durable; an interrupted one has no digest and is removed when the agent starts.
// Nothing in a copy leads outside of it.
//
// # How long a copy stays
//
// Acquire keeps the copy until release is called. From then on Collect removes it
// unless its caller says that it is in use.
package images
