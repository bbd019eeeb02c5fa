// SPDX-License-Identifier: MPL-2.0

package store

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// verdictsName is the file that holds the unhealthy replicas of a deployment. It is 0600,
// because a cause may repeat what a replica has answered.
const verdictsName = "unhealthy.json"

// Verdict says why one run of a replica was unhealthy, and since when.
type Verdict struct {
	Environment bluegreen.Environment `json:"environment"`
	// Backend and Address are those of router.Backend.
	Backend string    `json:"backend"`
	Address string    `json:"address"`
	Cause   string    `json:"cause"`
	Since   time.Time `json:"since"`
}

// verdictsContent is what the file holds.
type verdictsContent struct {
	Schema   int       `json:"schema"`
	Verdicts []Verdict `json:"verdicts"`
}

// ReadVerdicts returns the unhealthy replicas of the deployment in dir, as they were stored
// last. It returns none, and no error, if nothing was stored.
func ReadVerdicts(dir string) ([]Verdict, error) {
	var content verdictsContent
	path := filepath.Join(dir, verdictsName)
	found, err := durable.ReadJSON(path, "list of unhealthy replicas", &content)
	if err != nil || !found {
		return nil, err
	}
	if content.Schema != Schema {
		err := fmt.Errorf("it is not a valid list of unhealthy replicas (schema version %d)", content.Schema)
		return nil, &durable.UnreadableError{Path: path, Err: err}
	}
	return content.Verdicts, nil
}

// WriteVerdicts stores which replicas of the deployment in dir are unhealthy.
func WriteVerdicts(dir string, verdicts []Verdict) error {
	content := verdictsContent{Schema, verdicts}
	return durable.WriteJSON(filepath.Join(dir, verdictsName), "list of unhealthy replicas", content)
}
