// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/docker"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/printable"
)

var (
	dnsLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	noNUL    = regexp.MustCompile(`^[^\x00]*$`)
	// deployRecord is the ID of a record whose release was deployed.
	deployRecord = regexp.MustCompile(`^(deploy|adopt|rollback)-[1-9][0-9]*$`)
	// variableName is what a process can find in its environment.
	variableName = regexp.MustCompile(`^[^=\x00]+$`)
)

// dnsLabelRule is what dnsLabel matches.
const dnsLabelRule = "must be a DNS label: 1 to 63 lower case letters, digits and hyphens, " +
	"with no hyphen first or last"

// reservedVariables are those that a platform sets for every replica.
var reservedVariables = []string{"PORT", "HOST", "BLUEGREEN_ENVIRONMENT", "BLUEGREEN_VERSION"}

func deploymentName() validator.String {
	return stringvalidator.RegexMatches(dnsLabel,
		dnsLabelRule)
}

func withoutNUL() validator.String {
	return stringvalidator.RegexMatches(noNUL, "must not contain a NUL character")
}

var _ validator.Map = noNullElement{}

// noNullElement refuses a map that has a key without a value, and names the key.
type noNullElement struct{}

func (noNullElement) Description(context.Context) string { return "must have a value for each key" }

func (v noNullElement) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (noNullElement) ValidateMap(_ context.Context, req validator.MapRequest, resp *validator.MapResponse) {
	elements := req.ConfigValue.Elements()
	for _, key := range slices.Sorted(maps.Keys(elements)) {
		if elements[key].IsNull() {
			resp.Diagnostics.Append(attributeError(req.Path.AtMapKey(key), "Missing value", fmt.Sprintf(
				"The value of %q is null. Leave the key out, such as with { for k, v in ... : k => v if v != null }, "+
					"or give it a value.", printable.Text(key))))
		}
	}
}

var _ validator.String = oneLine{}

// oneLine refuses line breaks and what a terminal acts on. It shows the value in quotes, so
// that the error has none of them either.
type oneLine struct{}

func (oneLine) Description(context.Context) string {
	return "must be one line without control characters"
}

func (v oneLine) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v oneLine) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	text := req.ConfigValue.ValueString()
	if strings.ContainsAny(text, "\n\t") || printable.Text(text) != text {
		resp.Diagnostics.Append(attributeError(req.Path, "Invalid text",
			fmt.Sprintf("%s, got: %q", v.Description(ctx), text)))
	}
}

var _ validator.String = durationAtLeast{}

// durationAtLeast refuses shorter durations. The attribute's type refuses text that is
// not a duration.
type durationAtLeast struct {
	shortest time.Duration
	// rule says what a value must be: "must not be negative".
	rule string
}

func notNegative() validator.String { return durationAtLeast{0, "must not be negative"} }

// positive refuses zero too, where zero would mean that nothing ever has the time.
func positive() validator.String { return durationAtLeast{1, "must be longer than zero"} }

func (v durationAtLeast) Description(context.Context) string { return v.rule }

func (v durationAtLeast) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v durationAtLeast) ValidateString(
	_ context.Context,
	req validator.StringRequest,
	resp *validator.StringResponse,
) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	text := req.ConfigValue.ValueString()
	if d, err := time.ParseDuration(text); err == nil && d < v.shortest {
		resp.Diagnostics.Append(attributeError(req.Path, "Invalid duration", fmt.Sprintf("%s, got: %s", v.rule, text)))
	}
}

func absolutePath() validator.String {
	return stringvalidator.RegexMatches(regexp.MustCompile(`^/[^\x00]*$`), "must be an absolute path")
}

var _ validator.String = listenAddress{}

// listenAddress refuses text that is not host:port. It does not check whether the
// address is free.
type listenAddress struct{}

func (listenAddress) Description(context.Context) string {
	return "must be host:port, with an IP address or a host name and a port from 1 to 65535"
}

func (v listenAddress) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v listenAddress) ValidateString(
	ctx context.Context,
	req validator.StringRequest,
	resp *validator.StringResponse,
) {
	if !isSet(req.ConfigValue) {
		return
	}
	_, port, err := net.SplitHostPort(req.ConfigValue.ValueString())
	if number, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil || number == 0 {
		resp.Diagnostics.Append(
			attributeError(
				req.Path,
				"Invalid address",
				fmt.Sprintf("%s, got: %s", v.Description(ctx), req.ConfigValue.ValueString()),
			),
		)
	}
}

var _ validator.String = memorySize{}

// memorySize refuses what docker run --memory does.
type memorySize struct{}

// leastMemory is what the engine wants at least.
const leastMemory = 6 * units.MiB

func (memorySize) Description(context.Context) string {
	return `must be a size of at least 6 MiB such as "512m" or "2g"`
}

func (v memorySize) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v memorySize) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if !isSet(req.ConfigValue) {
		return
	}
	if bytes, err := units.RAMInBytes(req.ConfigValue.ValueString()); err != nil || bytes < leastMemory {
		resp.Diagnostics.Append(
			attributeError(
				req.Path,
				"Invalid size",
				fmt.Sprintf("%s, got: %s", v.Description(ctx), req.ConfigValue.ValueString()),
			),
		)
	}
}

var _ validator.String = foreignLabel{}

// foreignLabel refuses a label that is the provider's own.
type foreignLabel struct{}

func (foreignLabel) Description(context.Context) string {
	return "must not begin with " + docker.LabelPrefix
}

func (v foreignLabel) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v foreignLabel) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if strings.HasPrefix(req.ConfigValue.ValueString(), docker.LabelPrefix) {
		resp.Diagnostics.Append(attributeError(req.Path, "Invalid label", v.Description(ctx)))
	}
}

// siblings returns attributes of the block that has the validated attribute.
func siblings(names ...string) []path.Expression {
	var all []path.Expression
	for _, name := range names {
		all = append(all, path.MatchRelative().AtParent().AtName(name))
	}
	return all
}
