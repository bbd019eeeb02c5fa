// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// withWriteOnly returns the plan with the values that only the configuration has: Terraform
// keeps them out of plans and states. What it returns must not be written to a state.
func (m deploymentModel) withWriteOnly(
	ctx context.Context, config tfsdk.Config,
) (deploymentModel, diag.Diagnostics) {
	var headers types.Map
	check := path.Root("health_check").AtName("http")
	diags := config.GetAttribute(ctx, path.Root("env_wo"), &m.EnvWO)
	diags.Append(config.GetAttribute(ctx, check.AtName("headers_wo"), &headers)...)
	if diags.HasError() || headers.IsNull() {
		return m, diags
	}
	m.HealthCheck, diags = with(ctx, m.HealthCheck, "http", func(check types.Object) (attr.Value, diag.Diagnostics) {
		return with(ctx, check, "headers_wo", func(types.Map) (attr.Value, diag.Diagnostics) { return headers, nil })
	})
	return m, diags
}

// hasWriteOnly reports whether the deployment has write-only values.
func (m deploymentModel) hasWriteOnly() bool {
	check, _ := m.HealthCheck.Attributes()["http"].(types.Object)
	version, _ := check.Attributes()["headers_wo_version"].(types.Int64)
	return !m.EnvWOVersion.IsNull() || !version.IsNull()
}

// secrets returns the values that no error may show.
func (m deploymentModel) secrets(release bluegreen.Release) map[string]string {
	all := release.Variables()
	_, headers := m.checkHeaders()
	for name, value := range headers.Elements() {
		if text, isText := value.(types.String); isText {
			all["header "+name] = text.ValueString()
		}
	}
	return all
}

// checkHeaders returns the headers of the HTTP check, and its write-only ones. It does not
// decode the block, because a plan of many deployments asks often.
func (m deploymentModel) checkHeaders() (plain, writeOnly types.Map) {
	check, _ := m.HealthCheck.Attributes()["http"].(types.Object)
	plain, _ = check.Attributes()["headers"].(types.Map)
	writeOnly, _ = check.Attributes()["headers_wo"].(types.Map)
	return plain, writeOnly
}

// with returns the object with another value of one of its attributes.
func with[T attr.Value](
	ctx context.Context, object types.Object, name string, change func(T) (attr.Value, diag.Diagnostics),
) (types.Object, diag.Diagnostics) {
	attributes := object.Attributes()
	before, _ := attributes[name].(T)
	value, diags := change(before)
	attributes[name] = value
	changed, more := types.ObjectValue(object.AttributeTypes(ctx), attributes)
	return changed, append(diags, more...)
}

// checkWriteOnly refuses a variable that is in env and in env_wo, and a header that is in
// headers and in headers_wo: which one counts would be a guess.
func (m deploymentModel) checkWriteOnly() diag.Diagnostics {
	diags := refuseTwice(path.Root("env_wo"), "env", m.Env, m.EnvWO, func(name string) string { return name })
	plain, writeOnly := m.checkHeaders()
	attribute := path.Root("health_check").AtName("http").AtName("headers_wo")
	return append(diags, refuseTwice(attribute, "headers", plain, writeOnly, http.CanonicalHeaderKey)...)
}

// refuseTwice returns an error for each name in writeOnly that is in plain as well. Names with
// the same canonical form are the same.
func refuseTwice(
	attribute path.Path, plainName string, plain, writeOnly types.Map, canonical func(string) string,
) (diags diag.Diagnostics) {
	known := map[string]bool{}
	for name := range plain.Elements() {
		known[canonical(name)] = true
	}
	for _, name := range slices.Sorted(maps.Keys(writeOnly.Elements())) {
		if known[canonical(name)] {
			diags.Append(attributeError(attribute.AtMapKey(name), "Set twice",
				"is in "+plainName+" as well; set it in one of the two"))
		}
	}
	return diags
}
