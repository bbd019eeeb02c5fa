// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// texts returns the list with "" in the place of what is not known yet.
func texts(ctx context.Context, list types.List) ([]string, diag.Diagnostics) {
	if !given(list) {
		return nil, nil
	}
	var values []types.String
	diags := list.ElementsAs(ctx, &values, false)
	all := make([]string, 0, len(values))
	for _, value := range values {
		all = append(all, value.ValueString())
	}
	return all, diags
}

// given reports whether there is a value.
func given(value interface {
	IsNull() bool
	IsUnknown() bool
}) bool {
	return !value.IsNull() && !value.IsUnknown()
}

// fullyKnown reports whether nothing of these values is unknown.
func fullyKnown(ctx context.Context, values ...attr.Value) bool {
	for _, value := range values {
		if value.IsNull() {
			continue
		}
		// An unknown element counts too, and only the Terraform value tells.
		if raw, err := value.ToTerraformValue(ctx); err != nil || !raw.IsFullyKnown() {
			return false
		}
	}
	return true
}

// stringOr returns the text, or otherwise where it is null or unknown.
func stringOr(text types.String, otherwise string) string {
	if !given(text) {
		return otherwise
	}
	return text.ValueString()
}
