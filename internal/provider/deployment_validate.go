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

// ValidateConfig checks attributes that depend on each other. The schema checks
// each attribute alone. Unknown values are checked later, when they are known.
func (r *deploymentResource) ValidateConfig(
	ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse,
) {
	var config deploymentModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	settings, diags := config.health(ctx)
	if diags.HasError() {
		// The schema has reported it.
		return
	}
	resp.Diagnostics.Append(config.checkWriteOnly()...)
	resp.Diagnostics.Append(config.checkKinds()...)
	resp.Diagnostics.Append(checkHealth(settings.checks)...)
	if !config.hasUnknownPlatform() {
		platform := config.platform(r.provider)
		if !platform.canProbeOtherPorts() {
			resp.Diagnostics.Append(checkPorts(settings.checks)...)
		}
		resp.Diagnostics.Append(platform.conflicts(settings.checks)...)
	}
	resp.Diagnostics.Append(config.checkTimes(ctx, settings)...)
}

// checkKinds refuses a health_check without a check. Terraform drops unknown
// attributes from an object, so that a misspelt check looks like none. It must not
// become the default silently.
func (m deploymentModel) checkKinds() diag.Diagnostics {
	if !isSet(m.HealthCheck) {
		return nil
	}
	for _, kind := range []string{"http", "tcp", "grpc", "exec", "ready"} {
		if check, ok := m.HealthCheck.Attributes()[kind]; ok && !check.IsNull() {
			return nil
		}
	}
	return diag.Diagnostics{attributeError(path.Root("health_check"), "Invalid health check",
		"must have at least one of http, tcp, grpc, exec or ready; the default is http = {}")}
}

// checkHealth reports the settings that the health checker refuses.
func checkHealth(config health.Config) diag.Diagnostics {
	// The schema checks these. Zero means the default here, and is an error there.
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

// checkPorts refuses a check of another port. On this platform, replicas share one
// address, and a port does not tell which replica listens on it.
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
			attribute := path.Root("health_check").AtName(kind).AtName("port")
			diags.Append(attributeError(attribute, "Invalid health check",
				"must not be set on this platform: health checks use the port in the variable PORT of the replica"))
		}
	}
	return diags
}

// checkTimes refuses times that are longer than the timeout of their operation.
func (m deploymentModel) checkTimes(ctx context.Context, settings healthSettings) diag.Diagnostics {
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
		// The schema has reported it.
		return nil
	}
	for name, timeout := range map[string]time.Duration{"create": create, "update": update, "delete": remove} {
		if timeout <= 0 {
			diags.Append(
				attributeError(path.Root("timeouts").AtName(name), "Invalid duration", "must be longer than zero"),
			)
		}
	}
	if diags.HasError() {
		return diags
	}
	isKnown := func(operation string) bool {
		configured, ok := m.Timeouts.Attributes()[operation]
		return !ok || !configured.IsUnknown()
	}
	for operation, timeout := range map[string]time.Duration{"create": create, "update": update} {
		if isKnown(operation) {
			diags.Append(m.checkDeadlines(operation, timeout, settings)...)
		}
	}
	// An update that removes the standby, or deploys over it, waits for it to be drained.
	for operation, timeout := range map[string]time.Duration{"update": update, "delete": remove} {
		if isKnown(operation) {
			diags.Append(m.checkDrainTimeout(operation, timeout)...)
			diags.Append(m.checkStopTimeout(operation, timeout)...)
		}
	}
	return append(diags, checkHealthyThreshold(settings)...)
}

// checkDrainTimeout refuses an operation that would end while it waits for requests.
func (m deploymentModel) checkDrainTimeout(operation string, timeout time.Duration) diag.Diagnostics {
	drain := durationOr(m.DrainTimeout, defaultDrainTimeout)
	if drain < timeout || m.DrainTimeout.IsUnknown() {
		return nil
	}
	return diag.Diagnostics{attributeError(path.Root("drain_timeout"), "Draining cannot end in time",
		fmt.Sprintf("is %s, but timeouts.%s allows %s for the whole operation", drain, operation, timeout))}
}

// checkStopTimeout refuses an operation that would end while it waits for a process to end.
func (m deploymentModel) checkStopTimeout(operation string, timeout time.Duration) diag.Diagnostics {
	stop := durationOr(block[localModel](m.Local).StopTimeout, 0)
	if stop < timeout {
		return nil
	}
	return diag.Diagnostics{attributeError(
		path.Root(kindLocal).AtName("stop_timeout"), "A replica cannot be stopped in time",
		fmt.Sprintf("is %s, but timeouts.%s allows %s for the whole operation", stop, operation, timeout))}
}

// checkHealthyThreshold refuses a health check that no replica can pass.
func checkHealthyThreshold(settings healthSettings) diag.Diagnostics {
	shortest, interval := settings.checks.ShortestPass(), settings.checks.Interval
	if shortest < settings.timeout || settings.hasUnknownTimes {
		return nil
	}
	return diag.Diagnostics{attributeError(
		path.Root("health_check").AtName("healthy_threshold"),
		"The health check cannot pass in time",
		fmt.Sprintf("is %d, which takes at least %s at an interval of %s, but one attempt has the timeout %s",
			settings.checks.HealthyThreshold, shortest.Round(time.Millisecond), interval, settings.timeout),
	)}
}

// checkDeadlines compares the times that an operation waits with its timeout.
// Terraform validates with every variable unknown: an unknown time is not compared.
func (m deploymentModel) checkDeadlines(
	operation string,
	timeout time.Duration,
	settings healthSettings,
) diag.Diagnostics {
	diags := m.checkBakeTime(operation, timeout, settings)
	bake := durationOr(m.BakeTime, defaultBakeTime)
	// A division, because the product of two large numbers overflows.
	probes := time.Duration(max(settings.unhealthyThreshold, 1))
	if bake > 0 && settings.checks.Interval > timeout/probes && !settings.hasUnknownTimes {
		diags.Append(attributeError(
			path.Root("health_check").AtName("unhealthy_threshold"),
			"The watch cannot find the release unhealthy in time",
			fmt.Sprintf("is %d at an interval of %s, but timeouts.%s allows %s for the whole operation",
				settings.unhealthyThreshold, settings.checks.Interval, operation, timeout)))
	}
	attempts := max(settings.retries, 0) + 1
	if settings.timeout > timeout/time.Duration(attempts) && !settings.hasUnknownTimes {
		diags.Append(attributeError(
			path.Root("health_check").AtName("timeout"),
			"The health check cannot end in time",
			fmt.Sprintf(
				"is %s, and up to %d attempts of %s do not fit into timeouts.%s, which is %s",
				settings.timeout,
				attempts,
				settings.timeout,
				operation,
				timeout,
			),
		))
	}
	return diags
}

// checkBakeTime refuses a watch that is cut short however healthy the release is. It warns
// of one that is cut short if the release needs all attempts of its health check.
func (m deploymentModel) checkBakeTime(
	operation string,
	timeout time.Duration,
	settings healthSettings,
) diag.Diagnostics {
	attribute, bake := path.Root("bake_time"), durationOr(m.BakeTime, defaultBakeTime)
	if bake <= 0 || m.BakeTime.IsUnknown() {
		return nil
	}
	if bake > timeout {
		return diag.Diagnostics{attributeError(attribute, "The watch cannot end in time",
			fmt.Sprintf("is %s, but timeouts.%s allows %s for the whole operation", bake, operation, timeout))}
	}
	if settings.hasUnknownTimes {
		return nil
	}
	left, attempts := timeout-bake, max(settings.retries, 0)+1
	if shortest := settings.checks.ShortestPass(); shortest > left {
		return diag.Diagnostics{attributeError(attribute, "The watch cannot end in time",
			fmt.Sprintf("is %s, and the health check before the watch takes at least %s, "+
				"but timeouts.%s allows %s for the whole operation",
				bake, shortest.Round(time.Millisecond), operation, timeout))}
	}
	// A division, because the product of two large numbers overflows.
	if settings.timeout <= left/time.Duration(attempts) || settings.timeout > timeout/time.Duration(attempts) {
		// Attempts that are too long without a watch are refused.
		return nil
	}
	return asWarnings(diag.Diagnostics{attributeError(attribute, "The watch may be cut short",
		fmt.Sprintf("is %s, and up to %d attempts of the health check may take %s each of the %s that timeouts.%s "+
			"allows: a release that needs all of them is watched for a shorter time",
			bake, attempts, settings.timeout, timeout, operation))})
}
