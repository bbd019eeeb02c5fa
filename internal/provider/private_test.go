// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

func TestALedgerOfANewerProviderIsRefused(t *testing.T) {
	t.Parallel()
	for version, want := range map[int]string{
		bluegreen.SchemaVersion: "",
		bluegreen.SchemaVersion + 1: fmt.Sprintf("The ledger in the Terraform state has schema version %d. "+
			"This version of the provider reads versions up to %d. Nothing was touched. "+
			"Use the version of the provider that wrote the state, or a newer one.",
			bluegreen.SchemaVersion+1, bluegreen.SchemaVersion),
	} {
		private := privateKeys{ledgerKey: fmt.Appendf(nil, `{"schema": %d, "name": "web"}`, version)}
		_, diags := readLedger(t.Context(), private)
		var details []string
		for _, d := range diags {
			details = append(details, d.Detail())
		}
		if got := strings.Join(details, "\n"); got != want {
			t.Errorf("version %d: %q, not %q", version, got, want)
		}
	}
}

func TestAStateWithoutALedgerIsRefused(t *testing.T) {
	t.Parallel()
	_, diags := readLedger(t.Context(), privateKeys{})
	if len(diags) != 1 || diags[0].Summary() != "The state has no ledger" {
		t.Errorf("it says %v", diags)
	}
}
