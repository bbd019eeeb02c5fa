// SPDX-License-Identifier: MPL-2.0

// Package provider is the Terraform side of blue/green deployments. The engine decides what
// is to be done and in which order. This package only translates:
//
//   - the configuration into a [bluegreen.Desired], which the engine applies
//   - the ledger and the health of the replicas into the computed attributes
//   - the errors of the engine and of the platforms into diagnostics, which say what
//     happened, what was not touched and what to do
//
// # Contract
//
//  1. A plan touches nothing and never asks the platform. It is made from the
//     configuration, the prior state and the ledger in the private state, so that the plan
//     and the apply compute the same. Of the machine, a plan only checks whether the image
//     can run and whether the addresses can be listened on.
//  2. A known value in a plan is what an apply that succeeds records. What only the apply
//     finds out is unknown in the plan.
//  3. The ledger of the platform is the truth. Each refresh and each apply writes what the
//     platform says to the state, even after an apply that failed and changed what serves.
//     A deployment is removed from the state only if it does not exist. One that cannot be
//     read is an error.
//  4. An apply is refused if the deployment has changed since the plan.
//  5. Diagnostics and logs mask the values of the attribute env, because a value may be a
//     secret that a replica has logged. Values of fewer than 6 characters are not masked.
//
// # Structure
//
// The pure functions are predict, which forecasts an apply, observe, which makes attributes
// of a status, the checks of ValidateConfig, and those that word diagnostics. The
// deploymentResource calls them with what Terraform sends, and calls the engine. The
// interfaces location, planChecks and workload are all that it knows of a platform.
//
// The server answers for a deployment that has not changed without the framework, which is
// faster. See shortcut: its answers are the framework's, and the acceptance tests compare
// each of them.
package provider
