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
// deployment with it. A ledger holds no secrets.
const ledgerKey = "ledger"

type privateReader interface {
	GetKey(ctx context.Context, key string) ([]byte, diag.Diagnostics)
}

type privateWriter interface {
	SetKey(ctx context.Context, key string, value []byte) diag.Diagnostics
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
	return ledger, diags
}

// privateKeys is the private state as the framework encodes it.
type privateKeys map[string][]byte

var _ privateReader = privateKeys{}

// GetKey implements privateReader.
func (k privateKeys) GetKey(_ context.Context, key string) ([]byte, diag.Diagnostics) {
	return k[key], nil
}

func writeLedger(ctx context.Context, private privateWriter, ledger bluegreen.Ledger) diag.Diagnostics {
	content, err := json.Marshal(ledger)
	if err != nil {
		return diag.Diagnostics{diag.NewErrorDiagnostic("The ledger cannot be stored in the state", sentence(err))}
	}
	return private.SetKey(ctx, ledgerKey, content)
}
