// SPDX-License-Identifier: MPL-2.0

// Package parent starts an agent again when it dies. An agent that the provider starts has no
// service manager that would do it, and without an agent nothing carries the traffic. The
// parent is a process of the same program. It does nothing but wait for the agent: it has
// no file open but the log, listens nowhere and holds no lock, so that the agent owns all of that.
//
// If the parent itself is killed, the agent goes on. It is then not started again until the
// next apply finds that none runs.
package parent
