// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

var (
	dnsLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	noNUL    = regexp.MustCompile(`^[^\x00]*$`)
	// variableName is what a process can find in its environment.
	variableName = regexp.MustCompile(`^[^=\x00]+$`)
)

// reservedVariables are those that a platform sets for every replica.
var reservedVariables = []string{"PORT", "HOST", "BLUEGREEN_ENVIRONMENT", "BLUEGREEN_VERSION"}

func deploymentName() validator.String {
	return stringvalidator.RegexMatches(dnsLabel,
		"must be a DNS label: 1 to 63 lower case letters, digits and hyphens, with no hyphen first or last")
}

func withoutNUL() validator.String {
	return stringvalidator.RegexMatches(noNUL, "must not contain a NUL character")
}

var _ validator.String = durationAtLeast{}

// durationAtLeast refuses shorter durations. What is no duration at all is
// refused by the attribute's type.
type durationAtLeast struct {
	shortest time.Duration
	// means says what is refused: "negative".
	means string
}

func notNegative() validator.String { return durationAtLeast{0, "must not be negative"} }

// positive refuses zero too, where zero would mean that nothing ever has the time.
func positive() validator.String { return durationAtLeast{1, "must be longer than zero"} }

func (v durationAtLeast) Description(context.Context) string { return v.means }

func (v durationAtLeast) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v durationAtLeast) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	text := req.ConfigValue.ValueString()
	if d, err := time.ParseDuration(text); err == nil && d < v.shortest {
		resp.Diagnostics.Append(attributeError(req.Path, "Invalid duration", fmt.Sprintf("%s, got: %s", v.means, text)))
	}
}
