// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

type healthCheckModel struct {
	HTTP               types.Object  `tfsdk:"http"`
	TCP                types.Object  `tfsdk:"tcp"`
	GRPC               types.Object  `tfsdk:"grpc"`
	Exec               types.Object  `tfsdk:"exec"`
	Ready              types.Object  `tfsdk:"ready"`
	Interval           durationValue `tfsdk:"interval"`
	ProbeTimeout       durationValue `tfsdk:"probe_timeout"`
	HealthyThreshold   types.Int64   `tfsdk:"healthy_threshold"`
	UnhealthyThreshold types.Int64   `tfsdk:"unhealthy_threshold"`
	Timeout            durationValue `tfsdk:"timeout"`
	Retries            types.Int64   `tfsdk:"retries"`
	RestartAfter       durationValue `tfsdk:"restart_after"`
	MinHealthyPercent  types.Int64   `tfsdk:"min_healthy_percent"`
}

type httpModel struct {
	Path    types.String `tfsdk:"path"`
	Scheme  types.String `tfsdk:"scheme"`
	Port    types.Int64  `tfsdk:"port"`
	Host    types.String `tfsdk:"host"`
	Headers types.Map    `tfsdk:"headers"`
	// HeadersWO is null in the plan and in the state; see withWriteOnly.
	HeadersWO        types.Map    `tfsdk:"headers_wo"`
	HeadersWOVersion types.Int64  `tfsdk:"headers_wo_version"`
	StatusCodes      types.String `tfsdk:"status_codes"`
}

type tcpModel struct {
	Port types.Int64 `tfsdk:"port"`
}

type grpcModel struct {
	Port    types.Int64  `tfsdk:"port"`
	Service types.String `tfsdk:"service"`
}

type execModel struct {
	Command types.List `tfsdk:"command"`
}

// healthSettings is a health_check block with its defaults filled in.
type healthSettings struct {
	checks             health.Config
	timeout            time.Duration
	retries            int
	unhealthyThreshold int
	minHealthyPercent  int
	restartAfter       time.Duration
	// hasUnknownTimes: a time, a threshold or retries are unknown, and hold a default instead.
	hasUnknownTimes bool
}

// health decodes the health_check block. A null or unknown attribute gets its
// default, so that the known part of a configuration can be validated.
func (m deploymentModel) health(ctx context.Context) (healthSettings, diag.Diagnostics) {
	check := block[healthCheckModel](m.HealthCheck)
	checks, diags := check.checks(ctx)
	otherwise := bluegreen.DefaultConfig()
	return healthSettings{
		checks:             checks,
		timeout:            durationOr(check.Timeout, otherwise.HealthCheckTimeout),
		retries:            intOr(check.Retries, otherwise.HealthCheckRetries),
		unhealthyThreshold: intOr(check.UnhealthyThreshold, otherwise.UnhealthyThreshold),
		minHealthyPercent:  intOr(check.MinHealthyPercent, otherwise.MinHealthyPercent),
		hasUnknownTimes: m.HealthCheck.IsUnknown() || check.Timeout.IsUnknown() || check.Retries.IsUnknown() ||
			check.Interval.IsUnknown() || check.HealthyThreshold.IsUnknown() || check.UnhealthyThreshold.IsUnknown(),
		restartAfter: durationOr(check.RestartAfter, 0),
	}, diags
}

func (m healthCheckModel) checks(ctx context.Context) (health.Config, diag.Diagnostics) {
	config := health.Config{
		Interval:         durationOr(m.Interval, health.DefaultInterval),
		ProbeTimeout:     durationOr(m.ProbeTimeout, health.DefaultProbeTimeout),
		HealthyThreshold: intOr(m.HealthyThreshold, health.DefaultHealthyThreshold),
	}
	var diags diag.Diagnostics
	if isSet(m.HTTP) {
		check, more := block[httpModel](m.HTTP).check(ctx)
		diags.Append(more...)
		config.HTTP = check
	}
	if isSet(m.TCP) {
		config.TCP = &health.TCP{Port: intOr(block[tcpModel](m.TCP).Port, 0)}
	}
	if isSet(m.GRPC) {
		check := block[grpcModel](m.GRPC)
		config.GRPC = &health.GRPC{Port: intOr(check.Port, 0), Service: check.Service.ValueString()}
	}
	if isSet(m.Exec) {
		command, more := texts(ctx, block[execModel](m.Exec).Command)
		diags.Append(more...)
		if len(command) > 0 {
			config.Exec = &health.Exec{Command: command}
		}
	}
	if isSet(m.Ready) {
		config.Ready = &health.Ready{}
	}
	return config, diags
}

func (m httpModel) check(ctx context.Context) (*health.HTTP, diag.Diagnostics) {
	check := &health.HTTP{
		Path:        m.Path.ValueString(),
		Scheme:      m.Scheme.ValueString(),
		Port:        intOr(m.Port, 0),
		Host:        m.Host.ValueString(),
		StatusCodes: m.StatusCodes.ValueString(),
	}
	var diags diag.Diagnostics
	for _, headers := range []types.Map{m.Headers, m.HeadersWO} {
		var values map[string]types.String
		diags.Append(headers.ElementsAs(ctx, &values, true)...)
		for name, value := range values {
			if check.Headers == nil {
				check.Headers = map[string]string{}
			}
			check.Headers[name] = value.ValueString()
		}
	}
	return check, diags
}
