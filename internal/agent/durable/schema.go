// SPDX-License-Identifier: MPL-2.0

package durable

import (
	"encoding/json"
	"fmt"
)

// Schema is the version of the files that this program writes to a state directory. It reads
// every version up to this one.
const Schema = 1

// NewerError is a file that a newer version of the program wrote. Its content is not looked at.
type NewerError struct{ Found int }

func (e *NewerError) Error() string {
	return fmt.Sprintf("it was written by a newer version of the provider (schema %d; this one reads up to %d): "+
		"use that version again", e.Found, Schema)
}

// CheckSchema returns a *NewerError if content, which is JSON, says that it has a newer schema.
// The rest of content may have changed so much that it cannot be decoded.
func CheckSchema(content []byte) error {
	var versioned struct {
		Schema int `json:"schema"`
	}
	if json.Unmarshal(content, &versioned) == nil && versioned.Schema > Schema {
		return &NewerError{versioned.Schema}
	}
	return nil
}
