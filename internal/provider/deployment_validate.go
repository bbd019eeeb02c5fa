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
	if diags.HasError() {
		// The attributes have said so themselves.
		return
	}
	resp.Diagnostics.Append(config.checkKinds()...)
	resp.Diagnostics.Append(checkHealth(judged.checks)...)
	if !config.undecided() && !config.platform(r.provider).reachesPorts() {
		resp.Diagnostics.Append(checkPorts(judged.checks)...)
	}
	resp.Diagnostics.Append(config.checkTimes(ctx, judged)...)
}

// checkKinds refuses a health check that names no check. Terraform drops what it
// does not know from an object, so that this is how a misspelt kind shows: it
// must not turn into the default without a word.
func (m deploymentModel) checkKinds() diag.Diagnostics {
	if !given(m.HealthCheck) {
		return nil
	}
	for _, kind := range []string{"http", "tcp", "grpc", "exec"} {
		if check, ok := m.HealthCheck.Attributes()[kind]; ok && !check.IsNull() {
			return nil
		}
	}
	return diag.Diagnostics{attributeError(path.Root("health_check"), "Invalid health check",
		"must name at least one check that there is: http, tcp, grpc or exec; http = {} is the default")}
}

// checkHealth lets the checks themselves say what they cannot work with.
func checkHealth(config health.Config) diag.Diagnostics {
	// The schema judges these, zero included.
	config.Interval, config.ProbeTimeout, config.HealthyThreshold = 0, 0, 0
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
	return diag.Diagnostics{attributeError(attribute, "Invalid health check", problem)}
}

// checkPorts refuses a check on a port of its own where replicas share their
// address: nobody could tell whose port it is.
func checkPorts(config health.Config) diag.Diagnostics {
	ports := map[string]int{}
	if config.HTTP != nil {
		ports["http"] = config.HTTP.Port
	}
	if config.TCP != nil {
		ports["tcp"] = config.TCP.Port
	}
	if config.GRPC != nil {
		ports["grpc"] = config.GRPC.Port
	}
	var diags diag.Diagnostics
	for kind, port := range ports {
		if port != 0 {
			diags.Append(attributeError(path.Root("health_check").AtName(kind).AtName("port"), "Invalid health check",
				"must be left out on this platform, where a replica is reached at the port in PORT and at no other"))
		}
	}
	return diags
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
	if diags.HasError() {
		// The attributes have said so themselves.
		return nil
	}
	for name, timeout := range map[string]time.Duration{"create": create, "update": update, "delete": remove} {
		if timeout <= 0 {
			diags.Append(attributeError(path.Root("timeouts").AtName(name), "Invalid duration", "must be longer than zero"))
		}
	}
	if diags.HasError() {
		return diags
	}
	for operation, timeout := range map[string]time.Duration{"create": create, "update": update} {
		if configured, ok := m.Timeouts.Attributes()[operation]; !ok || !configured.IsUnknown() {
			diags.Append(m.checkDeadlines(operation, timeout, judged)...)
		}
	}
	return diags
}

// checkDeadlines compares what an operation waits for with the time that it has.
// Terraform validates with every variable unknown: a default says nothing then.
func (m deploymentModel) checkDeadlines(operation string, timeout time.Duration, judged healthSettings) diag.Diagnostics {
	var diags diag.Diagnostics
	if bake := durationOr(m.BakeTime, defaultBakeTime); bake > timeout && !m.BakeTime.IsUnknown() {
		diags.Append(attributeError(path.Root("bake_time"), "The watch cannot end in time",
			fmt.Sprintf("is %s, but timeouts.%s ends the whole operation after %s", bake, operation, timeout)))
	}
	attempts := max(judged.retries, 0) + 1
	// Divided, because the product of two big numbers overflows.
	if judged.timeout > timeout/time.Duration(attempts) && !judged.undecided {
		diags.Append(attributeError(path.Root("health_check").AtName("timeout"), "The health check cannot end in time",
			fmt.Sprintf("and retries allow %d attempts of %s, but timeouts.%s ends the whole operation after %s", attempts, judged.timeout, operation, timeout)))
	}
	return diags
}
