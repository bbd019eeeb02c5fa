// SPDX-License-Identifier: MPL-2.0

package bluegreen

// Status is a deployment as it is.
type Status struct {
	Ledger Ledger
	// Running counts the instances that run in each environment: of live and of its
	// standby only those that traffic can reach.
	Running map[Environment]int
	// Unready counts those of Running that the platform itself says cannot do their
	// work now. They are there, which is no drift, but no rollback goes to them.
	Unready map[Environment]int
	// Endpoint and Preview are where clients reach live and staging, "" for nowhere.
	Endpoint, Preview string
}

// IsCounted reports whether instance counts as one that runs in the slot's
// environment: where traffic is or was, one that it does not reach is of no use.
// What admits is Traffic.CanReceiveTraffic.
func (s Slot) IsCounted(instance InstanceRef, admits func(passed []InstanceRef, instance InstanceRef) bool) bool {
	return s.Release == nil || s.State != Live && s.State != Idle || admits(s.Passed, instance)
}

// CanRollBack reports whether a rollback would find what it needs: the
// release before the live one, with enough of its instances alive.
func (s Status) CanRollBack(minHealthyPercent int) bool {
	target, ok := s.Ledger.RollbackTarget()
	if !ok {
		return false
	}
	size := s.Ledger.Slot(target.Environment).Release.Replicas
	return s.Running[target.Environment]-s.Unready[target.Environment] >= required(size, minHealthyPercent)
}
