// SPDX-License-Identifier: MPL-2.0

// Package provider is the Terraform side of blue/green deployments. It only
// translates: configuration into what the engine is asked for, the engine's
// ledger into attributes, and its errors into diagnostics. What is to be done,
// and in which order, the engine decides.
package provider
