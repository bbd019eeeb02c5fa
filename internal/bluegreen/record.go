// SPDX-License-Identifier: MPL-2.0

package bluegreen

import "time"

// Operation is what brought a release to its environment.
type Operation string

const (
	// OpDeploy starts a release; it goes live after a passed health check.
	OpDeploy Operation = "deploy"
	// OpRollback makes the release before the live one live again.
	OpRollback Operation = "rollback"
	// OpAdopt takes over a workload that served before the deployment existed.
	OpAdopt Operation = "adopt"
)

// Origin is what asked for a deploy or a rollback.
type Origin string

const (
	// FromConfiguration: a configuration asked for it. Records of earlier versions, which
	// have no origin, count as such.
	FromConfiguration Origin = "configuration"
	// FromWatch: the watch after a switch found the release unhealthy.
	FromWatch Origin = "watch"
	// FromOperator: a person asked for it, past the configuration.
	FromOperator Origin = "operator"
)

// RecordStatus is what became of the release of a record.
type RecordStatus string

// The statuses of a record. Failed is final. A superseded or rolled back record becomes
// live again only when a switch or a rollback is reverted.
const (
	StatusInProgress RecordStatus = "in_progress"
	StatusReady      RecordStatus = "ready"
	StatusLive       RecordStatus = "live"
	StatusSuperseded RecordStatus = "superseded"
	StatusRolledBack RecordStatus = "rolled_back"
	StatusFailed     RecordStatus = "failed"
)

// Record is one entry of the history: one release in one environment.
type Record struct {
	// ID is "deploy-N", "rollback-N" or "adopt-N"; no N is used twice.
	ID           string       `json:"id"`
	Operation    Operation    `json:"operation"`
	Origin       Origin       `json:"origin,omitempty"`
	Environment  Environment  `json:"environment"`
	Version      string       `json:"version"`
	Image        string       `json:"image"`
	ImageDigest  string       `json:"image_digest,omitempty"`
	Replicas     int          `json:"replicas"`
	Fingerprint  string       `json:"fingerprint"`
	DeployedAt   time.Time    `json:"deployed_at"`
	SwitchedAt   *time.Time   `json:"switched_at,omitempty"`
	RolledBackAt *time.Time   `json:"rolled_back_at,omitempty"`
	Status       RecordStatus `json:"status"`
	// Reason says why the release failed or was rolled back, or why a rollback was made.
	Reason string `json:"reason,omitempty"`
	// Actor is who did it: user@host and pid.
	Actor string `json:"actor,omitempty"`
	// Replaced is the record that was live before this one.
	Replaced string `json:"replaced,omitempty"`
	// RolledBackFingerprint identifies the release that a rollback took out of service.
	RolledBackFingerprint string `json:"undid,omitempty"`
	// Health is the result of the last health check in staging, nil if there was none.
	Health *HealthResult `json:"health,omitempty"`
}

// withoutInstances returns the record as the archive keeps it. What concerns single instances is
// left out, because they are gone, except for the causes of failures.
func (r Record) withoutInstances() Record {
	if r.Health == nil {
		return r
	}
	health := *r.Health
	health.Instances, health.Details = nil, map[string]bool{}
	for check := range health.Causes {
		health.Details[check] = false
	}
	r.Health = &health
	return r
}

// HealthResult is the result of the health check of an environment.
type HealthResult struct {
	Healthy      bool `json:"healthy"`
	ChecksPassed int  `json:"checks_passed"`
	ChecksFailed int  `json:"checks_failed"`
	// Details says for each check of each instance, such as "green-1 http", whether it passed.
	Details map[string]bool `json:"details"`
	// Causes holds the cause of the last failure of each check that failed.
	Causes map[string]string `json:"causes,omitempty"`
	// Duration is the time from the start of the first attempt to the end of the last.
	Duration time.Duration `json:"duration_ns"`
	// Instances are the ones that passed.
	Instances []InstanceRef `json:"instances,omitempty"`
}
