// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"

	"github.com/docker/go-units"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

var (
	_ validator.String = bodySize{}
	_ validator.String = ipNetwork{}
)

// bodySize refuses text that is not a size, and a size of less than one byte.
type bodySize struct{}

func (bodySize) Description(context.Context) string {
	return `must be a size of at least 1 byte such as "512k" or "10m"; leave it out for no limit`
}

func (v bodySize) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v bodySize) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if !isSet(req.ConfigValue) {
		return
	}
	text := req.ConfigValue.ValueString()
	if bytes, err := units.RAMInBytes(text); err != nil || bytes < 1 {
		resp.Diagnostics.Append(attributeError(req.Path, "Invalid size",
			fmt.Sprintf("%s, got: %s", v.Description(ctx), text)))
	}
}

// ipNetwork refuses text that is not an IP network in CIDR notation.
type ipNetwork struct{}

func (ipNetwork) Description(context.Context) string {
	return `must be an IP network such as "10.0.0.0/8"`
}

func (v ipNetwork) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (ipNetwork) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if !isSet(req.ConfigValue) {
		return
	}
	if _, err := parseNetwork(req.ConfigValue.ValueString()); err != nil {
		resp.Diagnostics.Append(attributeError(req.Path, "Invalid network", "must be an IP network: "+err.Error()))
	}
}
