// SPDX-License-Identifier: MPL-2.0

package provider

import "time"

// What an attribute that is left out means.
const (
	defaultReplicas     = 1
	defaultPromote      = true
	defaultRollback     = false
	defaultStandby      = standbyKeep
	defaultBakeTime     = 10 * time.Second
	defaultHistoryLimit = 10
	longestHistory      = 10_000

	defaultDrainTimeout = 30 * time.Second

	defaultCreateTimeout = 30 * time.Minute
	defaultUpdateTimeout = 30 * time.Minute
	defaultDeleteTimeout = 10 * time.Minute
)

// The values of standby.
const (
	standbyKeep   = "keep"
	standbyRemove = "remove"
)

// readTimeout bounds what only looks: a refresh, and the look at what serves
// after an operation that failed.
const readTimeout = time.Minute
