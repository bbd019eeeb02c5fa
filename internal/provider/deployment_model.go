// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// deploymentModel is the resource as Terraform keeps it: what is configured, and
// with it what was observed.
type deploymentModel struct {
	Name          types.String         `tfsdk:"name"`
	Version       types.String         `tfsdk:"version"`
	Image         types.String         `tfsdk:"image"`
	Replicas      types.Int64          `tfsdk:"replicas"`
	Command       types.List           `tfsdk:"command"`
	Args          types.List           `tfsdk:"args"`
	Env           types.Map            `tfsdk:"env"`
	HealthCheck   types.Object         `tfsdk:"health_check"`
	Promote       types.Bool           `tfsdk:"promote"`
	Rollback      types.Bool           `tfsdk:"rollback"`
	Standby       types.String         `tfsdk:"standby"`
	BakeTime      timetypes.GoDuration `tfsdk:"bake_time"`
	SwitchTimeout timetypes.GoDuration `tfsdk:"switch_timeout"`
	DrainTimeout  timetypes.GoDuration `tfsdk:"drain_timeout"`
	HistoryLimit  types.Int64          `tfsdk:"history_limit"`
	Timeouts      timeouts.Value       `tfsdk:"timeouts"`
	platformsModel
	observedModel
}

// settingsKnown reports whether all that decides what an apply will do is known.
func (m deploymentModel) settingsKnown(ctx context.Context) bool {
	return !m.undecided() && fullyKnown(ctx, m.Name, m.Version, m.Image, m.Replicas, m.Command, m.Args, m.Env, m.HealthCheck, m.Promote, m.Rollback, m.Standby) &&
		m.platform(providerModel{}).settingsKnown(ctx)
}

// desired is what the engine is asked for. Every setting must be known.
func (m deploymentModel) desired(ctx context.Context, judged healthSettings) (bluegreen.Desired, diag.Diagnostics) {
	release, diags := m.release(ctx)
	return bluegreen.Desired{
		Release:           release,
		Promote:           m.Promote.ValueBool(),
		Rollback:          m.Rollback.ValueBool(),
		KeepStandby:       m.Standby.ValueString() == standbyKeep,
		MinHealthyPercent: judged.minHealthyPercent,
	}, diags
}

func (m deploymentModel) release(ctx context.Context) (bluegreen.Release, diag.Diagnostics) {
	release := bluegreen.Release{
		Version:  m.Version.ValueString(),
		Image:    m.Image.ValueString(),
		Replicas: intOr(m.Replicas, defaultReplicas),
		// On the other platforms a size that is not configured has a default.
		Autoscaled: m.Replicas.IsNull(),
	}
	diags := m.Command.ElementsAs(ctx, &release.Command, false)
	diags.Append(m.Args.ElementsAs(ctx, &release.Args, false)...)
	diags.Append(m.Env.ElementsAs(ctx, &release.Env, false)...)
	var more diag.Diagnostics
	release.Settings, more = m.platform(providerModel{}).settings(ctx)
	diags.Append(more...)
	return release, diags
}

// config is how the engine judges and how long it waits.
func (m deploymentModel) config(judged healthSettings) bluegreen.Config {
	config := bluegreen.DefaultConfig()
	config.HealthCheckTimeout = judged.timeout
	config.HealthCheckRetries = judged.retries
	config.MinHealthyPercent = judged.minHealthyPercent
	config.ProbeInterval = judged.checks.Interval
	config.SwitchTimeout = durationOr(m.SwitchTimeout, config.SwitchTimeout)
	config.DrainTimeout = durationOr(m.DrainTimeout, defaultDrainTimeout)
	config.BakeTime = durationOr(m.BakeTime, defaultBakeTime)
	config.HistoryLimit = int(m.HistoryLimit.ValueInt64())
	return config
}

// durationOr returns the duration, or otherwise where it is null or unknown.
// What cannot be parsed is refused by the attribute's type before it gets here.
func durationOr(d timetypes.GoDuration, otherwise time.Duration) time.Duration {
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
