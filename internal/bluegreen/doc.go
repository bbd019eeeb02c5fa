// SPDX-License-Identifier: MPL-2.0

// Package bluegreen is the engine of blue/green deployments. It decides which of
// a deployment's two environments is live, what may happen next, and carries it
// out. It imports the standard library only and knows neither Terraform nor any
// platform.
//
// # Contract
//
// After every commit, on every platform, even if something failed:
//
//  1. At most one environment is live, and it is the one that traffic reaches.
//  2. Once anything has been live, exactly one record is live, and it names the
//     live environment and its version.
//  3. Nothing becomes live without a passed health check of that very release. A
//     rollback and an adopted workload are the exceptions.
//  4. No operation that fails changes what the live environment serves.
//  5. A release is never half recorded: kill the process anywhere, and the next
//     run finishes or removes what it began.
//  6. Only the holder of the deployment's lock moves the traffic.
//
// # Layers
//
// The core is the [Ledger], the one document that says everything known about a
// deployment, and the transitions that lead from one ledger to the next. They are
// pure functions of values: no clock, no I/O. [Ledger.Next] decides what an apply
// does and [Ledger.Predict] says what the ledger is afterwards; the plan and the
// apply both use them, so that the plan shows what the apply does.
//
// The executor carries the transitions out. A [Deployer] takes the lock, loads
// the ledger, applies a transition, commits it, and only then acts. Each phase
// has a file of its own: create, apply, deploy, check, switch, watch, rollback,
// scale, repair, cleanup and destroy.
//
// A [Platform] keeps the ledger, runs the instances and moves the traffic. A
// [Checker] tells whether an instance is healthy. Package platformtest holds
// every platform to the contract.
package bluegreen
