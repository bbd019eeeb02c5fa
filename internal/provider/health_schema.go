// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

func healthCheckAttribute() schema.SingleNestedAttribute {
	otherwise := bluegreen.DefaultConfig()
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: describe("health_check"),
		Attributes: map[string]schema.Attribute{
			"http":          httpAttribute(),
			"tcp":           tcpAttribute(),
			"grpc":          grpcAttribute(),
			"exec":          execAttribute(),
			"ready":         readyAttribute(),
			"interval":      durationAttribute("health_check.interval", health.DefaultInterval, positive()),
			"probe_timeout": durationAttribute("health_check.probe_timeout", health.DefaultProbeTimeout, positive()),
			"healthy_threshold": schema.Int64Attribute{
				Optional: true, Computed: true,
				Default:             int64default.StaticInt64(health.DefaultHealthyThreshold),
				MarkdownDescription: describe("health_check.healthy_threshold"),
				Validators:          []validator.Int64{int64validator.Between(1, 1000)},
			},
			"unhealthy_threshold": schema.Int64Attribute{
				Optional:            true,
				MarkdownDescription: describe("health_check.unhealthy_threshold"),
				Validators:          []validator.Int64{int64validator.Between(1, 100)},
			},
			"timeout": durationAttribute("health_check.timeout", otherwise.HealthCheckTimeout, positive()),
			"retries": schema.Int64Attribute{
				Optional: true, Computed: true,
				Default:             int64default.StaticInt64(int64(otherwise.HealthCheckRetries)),
				MarkdownDescription: describe("health_check.retries"),
				Validators:          []validator.Int64{int64validator.Between(0, 1_000_000)},
			},
			"restart_after": schema.StringAttribute{
				CustomType:          durationType{},
				Optional:            true,
				MarkdownDescription: describe("health_check.restart_after"),
				Validators:          []validator.String{notNegative()},
			},
			"min_healthy_percent": schema.Int64Attribute{
				Optional: true, Computed: true,
				Default:             int64default.StaticInt64(int64(otherwise.MinHealthyPercent)),
				MarkdownDescription: describe("health_check.min_healthy_percent"),
				Validators:          []validator.Int64{int64validator.Between(1, 100)},
			},
		},
	}
}

func httpAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: describe("health_check.http"),
		Attributes: map[string]schema.Attribute{
			"path": schema.StringAttribute{
				Optional: true, Computed: true,
				Default:             stringdefault.StaticString(health.DefaultHTTPPath),
				MarkdownDescription: describe("health_check.http.path"),
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"scheme": schema.StringAttribute{
				Optional: true, Computed: true,
				Default:             stringdefault.StaticString(health.DefaultHTTPScheme),
				MarkdownDescription: describe("health_check.http.scheme"),
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"port": portAttribute(),
			"host": schema.StringAttribute{
				Optional: true, Computed: true,
				Default:             stringdefault.StaticString(health.DefaultHTTPHost),
				MarkdownDescription: describe("health_check.http.host"),
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"headers": schema.MapAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: describe("health_check.http.headers"),
				Validators:          []validator.Map{mapvalidator.NoNullValues()},
			},
			"headers_wo": schema.MapAttribute{
				Optional: true, WriteOnly: true, ElementType: types.StringType,
				MarkdownDescription: describe("health_check.http.headers_wo"),
				Validators: []validator.Map{
					mapvalidator.NoNullValues(), mapvalidator.AlsoRequires(siblings("headers_wo_version")...),
				},
			},
			"headers_wo_version": schema.Int64Attribute{
				Optional:            true,
				MarkdownDescription: describe("health_check.http.headers_wo_version"),
				Validators:          []validator.Int64{int64validator.AlsoRequires(siblings("headers_wo")...)},
			},
			"status_codes": schema.StringAttribute{
				Optional: true, Computed: true,
				Default:             stringdefault.StaticString(health.DefaultHTTPStatusCodes),
				MarkdownDescription: describe("health_check.http.status_codes"),
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
		},
	}
}

func tcpAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: describe("health_check.tcp"),
		Attributes:          map[string]schema.Attribute{"port": portAttribute()},
	}
}

func grpcAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: describe("health_check.grpc"),
		Attributes: map[string]schema.Attribute{
			"port": portAttribute(),
			"service": schema.StringAttribute{
				Optional: true, Computed: true,
				Default:             stringdefault.StaticString(""),
				MarkdownDescription: describe("health_check.grpc.service"),
			},
		},
	}
}

func readyAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: describe("health_check.ready"),
		Attributes:          map[string]schema.Attribute{},
	}
}

func execAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: describe("health_check.exec"),
		Attributes: map[string]schema.Attribute{
			"command": schema.ListAttribute{
				Required:            true,
				ElementType:         types.StringType,
				MarkdownDescription: describe("health_check.exec.command"),
				Validators: []validator.List{
					listvalidator.SizeAtLeast(1),
					listvalidator.NoNullValues(),
					listvalidator.ValueStringsAre(withoutNUL()),
				},
			},
		},
	}
}

func portAttribute() schema.Int64Attribute {
	return schema.Int64Attribute{
		Optional:            true,
		MarkdownDescription: describe("health_check.port"),
		Validators:          []validator.Int64{int64validator.AtLeast(1)},
	}
}
