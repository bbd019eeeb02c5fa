// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// texts returns the elements of list, with "" for an element that is unknown.
func texts(ctx context.Context, list types.List) ([]string, diag.Diagnostics) {
	if !isSet(list) {
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

// isSet reports whether the value is neither null nor unknown.
func isSet(value interface {
	IsNull() bool
	IsUnknown() bool
}) bool {
	return !value.IsNull() && !value.IsUnknown()
}

// isFullyKnown reports whether these values and all their elements are known.
func isFullyKnown(ctx context.Context, values ...attr.Value) bool {
	for _, value := range values {
		if value.IsNull() {
			continue
		}
		// Only the Terraform value tells whether an element is unknown.
		if raw, err := value.ToTerraformValue(ctx); err != nil || !raw.IsFullyKnown() {
			return false
		}
	}
	return true
}

// stringOr returns the text, or otherwise if it is null or unknown.
func stringOr(text types.String, otherwise string) string {
	if !isSet(text) {
		return otherwise
	}
	return text.ValueString()
}
