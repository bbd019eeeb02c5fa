// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// ledgerKey is where the private state of the resource holds the ledger that its
// state was read from. It is what a plan is made from, and what the apply
// compares the deployment with. A ledger holds no secrets.
const ledgerKey = "ledger"

type privateReader interface {
	GetKey(ctx context.Context, key string) ([]byte, diag.Diagnostics)
}

type privateWriter interface {
	SetKey(ctx context.Context, key string, value []byte) diag.Diagnostics
}

func readLedger(ctx context.Context, private privateReader) (bluegreen.Ledger, diag.Diagnostics) {
	var ledger bluegreen.Ledger
	content, diags := private.GetKey(ctx, ledgerKey)
	if diags.HasError() {
		return ledger, diags
	}
	if err := json.Unmarshal(content, &ledger); err != nil {
		diags.AddError("The state was not written by a refresh of this provider",
			"It holds no ledger of the deployment, so that nothing can be predicted from it. Run `terraform apply -refresh-only` and plan again.")
	}
	return ledger, diags
}

// privateKeys is the private state as the framework writes it.
type privateKeys map[string][]byte

var _ privateReader = privateKeys{}

// GetKey implements privateReader.
func (k privateKeys) GetKey(_ context.Context, key string) ([]byte, diag.Diagnostics) {
	return k[key], nil
}

func writeLedger(ctx context.Context, private privateWriter, ledger bluegreen.Ledger) diag.Diagnostics {
	content, err := json.Marshal(ledger)
	if err != nil {
		return diag.Diagnostics{diag.NewErrorDiagnostic("The ledger cannot be kept", err.Error())}
	}
	return private.SetKey(ctx, ledgerKey, content)
}
