// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

// ValidateConfig looks at what attributes mean together. What each of them may
// be is in the schema. Values that are not known yet are looked at later.
func (r *deploymentResource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var config deploymentModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	judged, diags := config.health(ctx)
	resp.Diagnostics.Append(diags...)
	if diags.HasError() {
		return
	}
	resp.Diagnostics.Append(checkHealth(judged.checks)...)
	resp.Diagnostics.Append(config.checkTimes(ctx, judged)...)
}

// checkHealth lets the checks themselves say what they cannot work with.
func checkHealth(config health.Config) diag.Diagnostics {
	_, err := health.New(config)
	if err == nil {
		return nil
	}
	attribute, problem := path.Root("health_check"), err.Error()
	var invalid *health.ConfigError
	if errors.As(err, &invalid) {
		problem = invalid.Problem
		for step := range strings.SplitSeq(invalid.Setting, ".") {
			attribute = attribute.AtName(step)
		}
	}
	return diag.Diagnostics{diag.NewAttributeErrorDiagnostic(attribute, "Invalid health check", sentence(errors.New(problem)))}
}

// checkTimes refuses what cannot end within the time that its operation has.
func (m deploymentModel) checkTimes(ctx context.Context, judged healthSettings) diag.Diagnostics {
	var diags diag.Diagnostics
	if m.Timeouts.IsUnknown() {
		return diags
	}
	create, more := m.Timeouts.Create(ctx, defaultCreateTimeout)
	diags.Append(more...)
	update, more := m.Timeouts.Update(ctx, defaultUpdateTimeout)
	diags.Append(more...)
	remove, more := m.Timeouts.Delete(ctx, defaultDeleteTimeout)
	diags.Append(more...)
	bake := durationOr(m.BakeTime, defaultBakeTime)
	for _, operation := range []struct {
		name    string
		timeout time.Duration
		deploys bool
	}{{"create", create, true}, {"update", update, true}, {"delete", remove, false}} {
		if operation.timeout <= 0 {
			diags.AddAttributeError(path.Root("timeouts").AtName(operation.name), "Invalid duration", "The duration must be longer than zero.")
			continue
		}
		if !operation.deploys {
			continue
		}
		if bake > operation.timeout {
			diags.AddAttributeError(path.Root("bake_time"), "The watch cannot end in time",
				fmt.Sprintf("bake_time is %s, but timeouts.%s ends the whole operation after %s.", bake, operation.name, operation.timeout))
		}
		attempts := judged.retries + 1
		// Divided, because the product of two big numbers overflows.
		if judged.timeout > operation.timeout/time.Duration(attempts) {
			diags.AddAttributeError(path.Root("health_check").AtName("timeout"), "The health check cannot end in time",
				fmt.Sprintf("It may take %d attempts of %s, but timeouts.%s ends the whole operation after %s.", attempts, judged.timeout, operation.name, operation.timeout))
		}
	}
	return diags
}
