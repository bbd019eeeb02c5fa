// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// ledgerKey is the key of the ledger in the private state of the resource: the ledger
// that the state was read from. A plan is made from it, and the apply compares the
// deployment with it. A ledger holds no environment variables.
const ledgerKey = "ledger"

// fingerprintKey is the key of the FingerprintKey in the private state. A platform of an
// earlier version does not keep it, and a workload that was removed by hand has lost it.
const fingerprintKey = "fingerprint_key"

// unreadyKey is the key of the unready replicas in the private state, by environment. Only
// the environment without the traffic is there, and only if it has some. Its
// ready_replicas does not tell them from replicas that are gone, which are drift.
const unreadyKey = "unready_replicas"

type privateReader interface {
	GetKey(ctx context.Context, key string) ([]byte, diag.Diagnostics)
}

type privateWriter interface {
	SetKey(ctx context.Context, key string, value []byte) diag.Diagnostics
}

// privateStore is the private state of the resource.
type privateStore interface {
	privateReader
	privateWriter
}

// readLedger returns the ledger that the state was read from. It refuses a ledger of a
// newer format, which may say more than this version understands.
func readLedger(ctx context.Context, private privateReader) (bluegreen.Ledger, diag.Diagnostics) {
	var ledger bluegreen.Ledger
	content, diags := private.GetKey(ctx, ledgerKey)
	if diags.HasError() {
		return ledger, diags
	}
	if err := json.Unmarshal(content, &ledger); err != nil {
		diags.AddError("The state has no ledger",
			"The Terraform state has no ledger of the deployment, which a plan is made from. Nothing was touched. "+
				"Run `terraform apply -refresh-only`, and plan again.")
		return ledger, diags
	}
	if ledger.Schema > bluegreen.SchemaVersion {
		diags.AddError("The state was written by a newer version of the provider", fmt.Sprintf(
			"The ledger in the Terraform state has schema version %d. This version of the provider reads versions "+
				"up to %d. Nothing was touched. Use the version of the provider that wrote the state, or a newer one.",
			ledger.Schema, bluegreen.SchemaVersion))
	}
	key, more := readFingerprintKey(ctx, private)
	ledger.Key = key
	return ledger, append(diags, more...)
}

// readFingerprintKey returns "" if there is none, as in the state of an earlier version.
func readFingerprintKey(ctx context.Context, private privateReader) (bluegreen.FingerprintKey, diag.Diagnostics) {
	var key bluegreen.FingerprintKey
	content, diags := private.GetKey(ctx, fingerprintKey)
	if content == nil || diags.HasError() {
		return "", diags
	}
	if err := json.Unmarshal(content, &key); err != nil {
		diags.AddError("The state cannot be read",
			"The private state has a key that is not text. Nothing was touched. "+
				"Remove the deployment from the state with `terraform state rm`, and import it again.")
	}
	return key, diags
}

// privateKeys is the private state as the framework encodes it.
type privateKeys map[string][]byte

var _ privateStore = privateKeys{}

// GetKey implements privateReader.
func (k privateKeys) GetKey(_ context.Context, key string) ([]byte, diag.Diagnostics) {
	return k[key], nil
}

// SetKey implements privateWriter.
func (k privateKeys) SetKey(_ context.Context, key string, value []byte) diag.Diagnostics {
	if len(value) == 0 {
		delete(k, key)
	} else {
		k[key] = value
	}
	return nil
}

// writeLedger stores the ledger and its key.
func writeLedger(ctx context.Context, private privateWriter, ledger bluegreen.Ledger) diag.Diagnostics {
	content, err := json.Marshal(ledger)
	if err != nil {
		return diag.Diagnostics{diag.NewErrorDiagnostic("The ledger cannot be stored in the state", sentence(err))}
	}
	diags := private.SetKey(ctx, ledgerKey, content)
	if ledger.Key == "" {
		return diags
	}
	if content, err = json.Marshal(ledger.Key); err != nil {
		return append(diags, diag.NewErrorDiagnostic("The key cannot be stored in the state", sentence(err)))
	}
	return append(diags, private.SetKey(ctx, fingerprintKey, content)...)
}

// readUnready returns the unready replicas that the state was read with, nil for none.
func readUnready(ctx context.Context, private privateReader) (map[bluegreen.Environment]int, diag.Diagnostics) {
	content, diags := private.GetKey(ctx, unreadyKey)
	if diags.HasError() || len(content) == 0 {
		return nil, diags
	}
	var unready map[bluegreen.Environment]int
	if err := json.Unmarshal(content, &unready); err != nil {
		// The next refresh writes it again.
		return nil, nil
	}
	return unready, nil
}

// writeStatus stores what a plan needs of a status besides the attributes.
func writeStatus(ctx context.Context, private privateWriter, status bluegreen.Status) diag.Diagnostics {
	diags := writeLedger(ctx, private, status.Ledger)
	var content []byte
	if unready := unreadyWithoutTraffic(status); len(unready) > 0 {
		var err error
		if content, err = json.Marshal(unready); err != nil {
			return append(diags, diag.NewErrorDiagnostic("The replicas cannot be stored in the state", sentence(err)))
		}
	}
	return append(diags, private.SetKey(ctx, unreadyKey, content)...)
}

// unreadyWithoutTraffic returns how many replicas are unready in the environment without
// the traffic, if any.
func unreadyWithoutTraffic(status bluegreen.Status) map[bluegreen.Environment]int {
	unready := map[bluegreen.Environment]int{}
	for env, n := range status.Unready {
		isLive := status.Ledger.IsServing() && env == status.Ledger.Live
		if n > 0 && !isLive {
			unready[env] = n
		}
	}
	return unready
}
