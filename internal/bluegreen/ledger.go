// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"time"
)

// SchemaVersion is the version of the ledger's format that this engine writes.
// It reads every version up to this one.
const SchemaVersion = 1

// Ledger is everything known about a deployment: who is live, what runs where,
// and the records that can still change. It is a value: transitions return a
// changed copy and share nothing with the original.
type Ledger struct {
	Schema int    `json:"schema"`
	Name   string `json:"name"`
	// Generation counts the commits. It is what a plan is compared with.
	Generation uint64 `json:"generation"`
	// Live points at the environment that traffic reaches. Until something has
	// been live it points at an environment that is not Live, and nothing serves.
	Live  Environment `json:"live"`
	Blue  Slot        `json:"blue"`
	Green Slot        `json:"green"`
	// Sequence is the number of the newest record. It only grows.
	Sequence int `json:"sequence"`
	// HistoryLimit is how many records are kept, the ones in the ledger included.
	HistoryLimit int `json:"history_limit"`
	// Records are the ones that an environment refers to, oldest first. The
	// others are closed: they never change again and live in the archive.
	Records []Record `json:"records"`
	// Settled is false from the first commit until an operation that
	// deploys has run to its end, watch included. A ledger that was never
	// settled belongs to nobody's Terraform state.
	Settled bool `json:"settled"`
	// Unwatched is the live record whose watch after the switch has not ended.
	Unwatched string `json:"unwatched,omitempty"`
	// Destroying is set once the removal of the deployment has begun.
	Destroying bool `json:"destroying,omitempty"`
}

// Slot is what the ledger knows of one environment.
type Slot struct {
	State State `json:"state"`
	// Release is nil in an empty environment.
	Release *Release `json:"release,omitempty"`
	// Record is the ID of the record that brought the release here.
	Record string `json:"record,omitempty"`
	// Checked is true once this very release passed its health check here.
	Checked bool `json:"checked,omitempty"`
	// Passed are the instances that passed; traffic goes to no other.
	Passed     []InstanceRef `json:"passed,omitempty"`
	DeployedAt *time.Time    `json:"deployed_at,omitempty"`
}
