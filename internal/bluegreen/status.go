// SPDX-License-Identifier: MPL-2.0

package bluegreen

import "maps"

// Status is what a platform knows of a deployment at one moment.
type Status struct {
	Ledger Ledger
	// Running counts the instances that run in each environment. In live and in the
	// standby only those count that traffic can reach.
	Running map[Environment]int
	// Unready counts those of Running that the platform itself holds not ready. In live
	// they are drift. In a standby they are not, but a rollback cannot use them.
	Unready map[Environment]int
	// StandbyCauses says why instances of the standby cannot take the traffic. Deployer.Status
	// asks for it if some cannot; the platform itself leaves it empty.
	StandbyCauses []string
	// Outage says why no client reaches live, nil if clients do or the platform cannot tell.
	Outage *Outage
	// Drift says what somebody has changed of what the deployment consists of, apart from the
	// replicas. Each entry is a sentence without its full stop. The next commit sets it again.
	Drift []string
	// Notice says something about the platform that is worth knowing and stops nothing, such as
	// that a part of it is out of date, "" for nothing.
	Notice string
	// LedgerLost says that the ledger was lost where it belongs, and which copy it was read from,
	// "" if it was not lost. It is drift: the next commit writes it back.
	LedgerLost string
	// Endpoint and Preview are the addresses of live and staging, "" if there is none.
	Endpoint, Preview string
}

// Outage says that nothing carries the traffic to live, whatever runs there.
type Outage struct {
	// Cause is why, and Next what ends it: a whole sentence.
	Cause, Next string
}

// Usable counts the instances as Ledger.Next needs it: of live only those that the
// platform holds ready, because live is repaired if they are too few.
func (s Status) Usable() map[Environment]int {
	usable := maps.Clone(s.Running)
	if s.Ledger.IsServing() && usable != nil {
		usable[s.Ledger.Live] -= s.Unready[s.Ledger.Live]
	}
	return usable
}

// IsCounted reports whether instance counts as one that runs in the slot's
// environment. In live and in the standby an instance counts only if it can receive
// traffic. canReceive is Traffic.CanReceiveTraffic of the platform.
func (s Slot) IsCounted(
	instance InstanceRef, canReceive func(passed []InstanceRef, instance InstanceRef) bool,
) bool {
	return s.Release == nil || s.State != Live && s.State != Idle || canReceive(s.Passed, instance)
}
