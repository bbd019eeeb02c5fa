// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/defaults"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// condition holds for an attribute when what the framework puts in the place of
// null in the configuration is what the state has already. It is only asked when
// the state is what Terraform proposes, so that a configured value is in both.
type condition func(config, state tftypes.Value) bool

// nestedDefaults is the condition for an object with these attributes.
func nestedDefaults(ctx context.Context, attributes map[string]schema.Attribute) condition {
	conditions := map[string]condition{}
	for name, attribute := range attributes {
		if c := defaultOf(ctx, attribute); c != nil {
			conditions[name] = c
		}
	}
	return func(config, state tftypes.Value) bool {
		if config.IsNull() || state.IsNull() {
			// No default is filled in below what is not there.
			return true
		}
		var configured, had map[string]tftypes.Value
		if config.As(&configured) != nil || state.As(&had) != nil {
			return false
		}
		for name, holds := range conditions {
			if !holds(configured[name], had[name]) {
				return false
			}
		}
		return true
	}
}

// defaultOf is the condition for one attribute, nil where it always holds.
func defaultOf(ctx context.Context, attribute schema.Attribute) condition {
	switch a := attribute.(type) {
	case schema.StringAttribute:
		if a.Default == nil {
			return nil
		}
		var resp defaults.StringResponse
		a.Default.DefaultString(ctx, defaults.StringRequest{}, &resp)
		return isDefault(ctx, resp.PlanValue)
	case schema.Int64Attribute:
		if a.Default == nil {
			return nil
		}
		var resp defaults.Int64Response
		a.Default.DefaultInt64(ctx, defaults.Int64Request{}, &resp)
		return isDefault(ctx, resp.PlanValue)
	case schema.BoolAttribute:
		if a.Default == nil {
			return nil
		}
		var resp defaults.BoolResponse
		a.Default.DefaultBool(ctx, defaults.BoolRequest{}, &resp)
		return isDefault(ctx, resp.PlanValue)
	case schema.SingleNestedAttribute:
		if a.Default == nil {
			return nestedDefaults(ctx, a.Attributes)
		}
	case schema.ListAttribute:
		if a.Default == nil {
			return nil
		}
	case schema.MapAttribute:
		if a.Default == nil {
			return nil
		}
	case schema.MapNestedAttribute:
		if a.Default == nil && a.Computed && !a.Optional {
			return nil
		}
	}
	// What is left may have defaults that nobody here knows of.
	return func(config, state tftypes.Value) bool { return config.IsNull() && state.IsNull() }
}

func isDefault(ctx context.Context, value attr.Value) condition {
	otherwise, err := value.ToTerraformValue(ctx)
	return func(config, state tftypes.Value) bool {
		return !config.IsNull() || err == nil && state.Equal(otherwise)
	}
}
