// SPDX-License-Identifier: MPL-2.0

package store

// KeptSettings are the settings that a deployment keeps from one commit to the next, without those
// that may be secrets.
type KeptSettings struct {
	Frontend Frontend `json:"frontend"`
	// Upkeep is that of the release that serves, without the headers of its health check. It is nil
	// if there is none, and if the check is a command.
	Upkeep *Upkeep `json:"upkeep,omitempty"`
}

// NewKeptSettings returns the settings of the deployment with this document.
func NewKeptSettings(doc Document, file *UpkeepFile) KeptSettings {
	kept := KeptSettings{Frontend: doc.Frontend.Frontend}
	live := doc.Ledger.Slot(doc.Ledger.Live).Release
	if !doc.Ledger.IsServing() || live == nil {
		return kept
	}
	upkeep, isKnown := file.Find(live.Fingerprint)
	if !isKnown || upkeep.Health.Exec != nil {
		return kept
	}
	if upkeep.Health.HTTP != nil {
		check := *upkeep.Health.HTTP
		check.Headers = nil
		upkeep.Health.HTTP = &check
	}
	kept.Upkeep = &upkeep
	return kept
}
