// SPDX-License-Identifier: MPL-2.0

// Package systemd talks to the service manager that has started this process.
//
// The service manager learns when the agent is ready and what it does, and notices when it
// hangs. It also keeps the sockets that clients connect to while no agent runs: clients that
// connect meanwhile wait, and the next agent answers them. See sd_notify(3),
// sd_listen_fds(3) and FileDescriptorStoreMax in systemd.service(5).
//
// The protocol is a datagram of a few lines. No library that is kept well sends descriptors
// with it, so it is spoken here.
package systemd
