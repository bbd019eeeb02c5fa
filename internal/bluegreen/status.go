// SPDX-License-Identifier: MPL-2.0

package bluegreen

// Status is a deployment as it is.
type Status struct {
	Ledger Ledger
	// Running counts the instances that run in each environment.
	Running map[Environment]int
	// Endpoint and Preview are where clients reach live and staging, "" for nowhere.
	Endpoint, Preview string
}

// RollbackAvailable reports whether a rollback would find what it needs: the
// release before the live one, with enough of its instances alive.
func (s Status) RollbackAvailable(minHealthyPercent int) bool {
	target, ok := s.Ledger.RollbackTarget()
	if !ok {
		return false
	}
	size := s.Ledger.Slot(target.Environment).Release.Replicas
	return s.Running[target.Environment] >= required(size, minHealthyPercent)
}
