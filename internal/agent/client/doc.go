// SPDX-License-Identifier: MPL-2.0

// Package client is what a platform needs of an agent: it starts one, locks a
// deployment, changes it, and reads the files of an agent that does not run. It is
// the only one of the agent's packages that platforms import.
//
// # What a lost answer means
//
// No request is repeated. If the answer to a change is lost, the change may have
// happened: the ledger says whether a commit has. ErrNotRunning means that nothing
// was asked. An error for which IsUnavailable returns true goes away once another
// agent runs. A lock ends with its connection, so it ends with the process that holds it.
package client
