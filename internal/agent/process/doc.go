// SPDX-License-Identifier: MPL-2.0

// Package process starts the processes of replicas, restarts those that end, and
// stops them. It knows neither ledgers nor traffic.
//
// A Supervisor keeps one process running: after a crash it starts the process
// again, with growing pauses. Every run gets a port of its own and a new
// incarnation. What a process writes goes to a log file that is rotated.
//
// What a process has started ends with it: its group everywhere, and on Linux all else too,
// whatever session it is in.
//
// # What outlives the supervisor
//
// The processes do. If the program that supervises them ends, by SIGTERM or by
// kill -9, they keep running, and Manager.Adopt takes them over: State, which is
// stored when a process starts, or else the process itself identifies them. A process writes its output
// to a named pipe; while no agent reads that, it blocks once the pipe is full
// (64 KiB on Linux). How an adopted process exits is not known, because only its
// parent is told.
package process
