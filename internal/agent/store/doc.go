// SPDX-License-Identifier: MPL-2.0

// Package store keeps what an agent knows in files below one state directory: the
// ledgers and their archives, what every environment should run, and the external
// replicas. It knows no process.
//
// # What is durable
//
// When a method that writes returns nil, the change survives a crash of the agent
// and of the machine. A commit is one rename of ledger.json: the ledger, the
// frontend and the length of the archive change together or not at all. After an
// error, LedgerFile.Current says what the file holds.
//
// # Readers
//
// A file is read as a whole, and no reader keeps a writer out. So a client can
// read the state directory of an agent that does not run. Files of the versions
// before are read; a file that is damaged or newer is a *durable.UnreadableError.
package store
