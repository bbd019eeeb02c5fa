// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/attr/xattr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/printable"
)

// durationType is timetypes.GoDurationType with an error of our own: that of the library prints
// line breaks as "\n", and does not say what is missing.
type durationType struct{ timetypes.GoDurationType }

var _ basetypes.StringTypable = durationType{}

func (t durationType) String() string { return "durationType" }

func (t durationType) Equal(other attr.Type) bool { _, ok := other.(durationType); return ok }

func (t durationType) ValueType(context.Context) attr.Value { return durationValue{} }

// ValueFromString implements basetypes.StringTypable.
func (t durationType) ValueFromString(
	_ context.Context, text basetypes.StringValue,
) (basetypes.StringValuable, diag.Diagnostics) {
	return durationValue{timetypes.GoDuration{StringValue: text}}, nil
}

// ValueFromTerraform implements attr.Type.
func (t durationType) ValueFromTerraform(ctx context.Context, value tftypes.Value) (attr.Value, error) {
	text, err := t.StringType.ValueFromTerraform(ctx, value)
	if err != nil {
		return nil, err
	}
	given, ok := text.(basetypes.StringValue)
	if !ok {
		return nil, fmt.Errorf("unexpected value type %T", text)
	}
	return durationValue{timetypes.GoDuration{StringValue: given}}, nil
}

// durationValue is a duration such as "1m30s". Two texts of the same duration are equal to Terraform.
type durationValue struct{ timetypes.GoDuration }

var (
	_ basetypes.StringValuableWithSemanticEquals = durationValue{}
	_ xattr.ValidateableAttribute                = durationValue{}
)

func newDuration(d time.Duration) durationValue {
	return durationValue{timetypes.NewGoDurationValue(d)}
}

func (d durationValue) Type(context.Context) attr.Type { return durationType{} }

func (d durationValue) Equal(other attr.Value) bool {
	o, ok := other.(durationValue)
	return ok && d.GoDuration.Equal(o.GoDuration)
}

// StringSemanticEquals implements basetypes.StringValuableWithSemanticEquals.
func (d durationValue) StringSemanticEquals(
	ctx context.Context, other basetypes.StringValuable,
) (bool, diag.Diagnostics) {
	if o, ok := other.(durationValue); ok {
		other = o.GoDuration
	}
	return d.GoDuration.StringSemanticEquals(ctx, other)
}

// ValidateAttribute refuses text that is no duration.
func (d durationValue) ValidateAttribute(
	_ context.Context, req xattr.ValidateAttributeRequest, resp *xattr.ValidateAttributeResponse,
) {
	if d.IsUnknown() || d.IsNull() {
		return
	}
	if _, err := time.ParseDuration(d.ValueString()); err != nil {
		resp.Diagnostics.Append(attributeError(req.Path, "Invalid duration", fmt.Sprintf(
			`A duration is a number with a unit, such as "500ms", "30s" or "1m30s", got: %q.`,
			printable.Text(d.ValueString()))))
	}
}
