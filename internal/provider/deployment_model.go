// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// deploymentModel is the resource in the configuration, the plan and the state: the
// configured attributes and the observed ones.
type deploymentModel struct {
	Name     types.String `tfsdk:"name"`
	Version  types.String `tfsdk:"version"`
	Image    types.String `tfsdk:"image"`
	Replicas types.Int64  `tfsdk:"replicas"`
	Command  types.List   `tfsdk:"command"`
	Args     types.List   `tfsdk:"args"`
	Env      types.Map    `tfsdk:"env"`
	// EnvWO is null in the plan and in the state; see withWriteOnly.
	EnvWO         types.Map     `tfsdk:"env_wo"`
	EnvWOVersion  types.Int64   `tfsdk:"env_wo_version"`
	Triggers      types.Map     `tfsdk:"triggers"`
	HealthCheck   types.Object  `tfsdk:"health_check"`
	Promote       types.Bool    `tfsdk:"promote"`
	Rollback      types.Bool    `tfsdk:"rollback"`
	RollbackCheck types.Bool    `tfsdk:"rollback_check"`
	Retry         types.String  `tfsdk:"retry"`
	Standby       types.String  `tfsdk:"standby"`
	BakeTime      durationValue `tfsdk:"bake_time"`
	SwitchTimeout durationValue `tfsdk:"switch_timeout"`
	DrainTimeout  durationValue `tfsdk:"drain_timeout"`
	HistoryLimit  types.Int64   `tfsdk:"history_limit"`
	// DeletionProtection is null in states of before there was one.
	DeletionProtection types.Bool     `tfsdk:"deletion_protection"`
	Timeouts           timeouts.Value `tfsdk:"timeouts"`
	platformsModel
	observedModel
}

// isKnown reports whether all attributes are known that decide what an apply does.
func (m deploymentModel) isKnown(ctx context.Context) bool {
	return !m.hasUnknownPlatform() && m.workload().isKnown(ctx) &&
		isFullyKnown(ctx, m.Name, m.Version, m.Image, m.Replicas, m.Command, m.Args, m.Env, m.EnvWOVersion,
			m.Triggers, m.HealthCheck, m.Promote, m.Rollback, m.Retry, m.Standby)
}

// desired returns what the engine is asked for. Every setting must be known.
func (m deploymentModel) desired(ctx context.Context, health healthSettings) (bluegreen.Desired, diag.Diagnostics) {
	release, diags := m.release(ctx)
	return bluegreen.Desired{
		Release:           release,
		Promote:           m.Promote.ValueBool(),
		Rollback:          m.Rollback.ValueBool(),
		Retry:             m.Retry.ValueString(),
		KeepStandby:       m.Standby.ValueString() == standbyKeep,
		MinHealthyPercent: health.minHealthyPercent,
	}, diags
}

func (m deploymentModel) release(ctx context.Context) (bluegreen.Release, diag.Diagnostics) {
	release := bluegreen.Release{
		Version:  m.Version.ValueString(),
		Image:    m.Image.ValueString(),
		Replicas: intOr(m.Replicas, defaultReplicas),
		// Only where the platform can autoscale is the size still null: see planReplicas.
		Autoscaled: m.Replicas.IsNull(),
	}
	diags := m.Command.ElementsAs(ctx, &release.Command, false)
	diags.Append(m.Args.ElementsAs(ctx, &release.Args, false)...)
	diags.Append(m.Env.ElementsAs(ctx, &release.Env, false)...)
	diags.Append(m.EnvWO.ElementsAs(ctx, &release.SecretEnv, false)...)
	if !m.EnvWOVersion.IsNull() {
		release.SecretEnvVersion = m.EnvWOVersion.String()
	}
	diags.Append(m.Triggers.ElementsAs(ctx, &release.Triggers, false)...)
	var more diag.Diagnostics
	release.Settings, more = m.workload().settings(ctx)
	diags.Append(more...)
	return release, diags
}

// config returns how the engine checks the health and how long it waits.
func (m deploymentModel) config(health healthSettings) bluegreen.Config {
	config := bluegreen.DefaultConfig()
	config.HealthCheckTimeout = health.timeout
	config.HealthCheckRetries = health.retries
	config.UnhealthyThreshold = health.unhealthyThreshold
	config.RollbackCheck = m.RollbackCheck.IsNull() || m.RollbackCheck.ValueBool()
	config.MinHealthyPercent = health.minHealthyPercent
	config.ProbeInterval = health.checks.Interval
	config.SwitchTimeout = durationOr(m.SwitchTimeout, config.SwitchTimeout)
	config.DrainTimeout = durationOr(m.DrainTimeout, defaultDrainTimeout)
	config.StopTimeout = durationOr(block[localModel](m.Local).StopTimeout, 0)
	config.BakeTime = durationOr(m.BakeTime, defaultBakeTime)
	config.HistoryLimit = int(m.HistoryLimit.ValueInt64())
	return config
}

// durationOr returns the duration, or otherwise if it is null or unknown. The
// attribute's type has refused a text that is not a duration.
func durationOr(d durationValue, otherwise time.Duration) time.Duration {
	if d.IsNull() || d.IsUnknown() {
		return otherwise
	}
	value, err := time.ParseDuration(d.ValueString())
	if err != nil {
		return otherwise
	}
	return value
}

func intOr(i types.Int64, otherwise int) int {
	if i.IsNull() || i.IsUnknown() {
		return otherwise
	}
	return int(i.ValueInt64())
}
