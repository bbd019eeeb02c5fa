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
	judged := bluegreen.DefaultConfig()
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "What proves a replica healthy: at least one of `http`, `tcp`, `grpc` and `exec`. Every check that is given must pass. Without this attribute an " +
			"HTTP `GET /` must be answered with 200 to 299. " +
			"Changing it changes nothing that runs: it takes effect with the next deploy.",
		Attributes: map[string]schema.Attribute{
			"http": httpAttribute(),
			"tcp":  tcpAttribute(),
			"grpc": grpcAttribute(),
			"exec": execAttribute(),
			"interval": durationAttribute(health.DefaultInterval, positive(),
				"The longest time between two probes of a replica. Default `\"1s\"`. A starting replica is probed more often at first, so that it is seen as up at once."),
			"probe_timeout": durationAttribute(health.DefaultProbeTimeout, positive(),
				"How long one probe may take. Default `\"5s\"`."),
			"healthy_threshold": schema.Int64Attribute{
				Optional: true, Computed: true,
				Default:             int64default.StaticInt64(health.DefaultHealthyThreshold),
				MarkdownDescription: "How often in a row a replica must pass to count as healthy. Default `1`.",
				Validators:          []validator.Int64{int64validator.Between(1, 1000)},
			},
			"timeout": durationAttribute(judged.HealthCheckTimeout, positive(),
				"How long one attempt waits for the replicas to become healthy. Default `\"30s\"`."),
			"retries": schema.Int64Attribute{
				Optional: true, Computed: true,
				Default: int64default.StaticInt64(int64(judged.HealthCheckRetries)),
				MarkdownDescription: "How many more attempts follow a failed one. Default `3`. During `bake_time` it is also how many probes in a row must fail " +
					"before traffic goes back.",
				Validators: []validator.Int64{int64validator.Between(0, 1_000_000)},
			},
			"min_healthy_percent": schema.Int64Attribute{
				Optional: true, Computed: true,
				Default: int64default.StaticInt64(int64(judged.MinHealthyPercent)),
				MarkdownDescription: "How many of the replicas must be healthy, in percent, rounded up. Default `100`. It holds for the health check, for the watch during " +
					"`bake_time`, and for the standby that a rollback needs.",
				Validators: []validator.Int64{int64validator.Between(1, 100)},
			},
		},
	}
}

func httpAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "A `GET` whose answer has an accepted status. The check when no other is given.",
		Attributes: map[string]schema.Attribute{
			"path": schema.StringAttribute{
				Optional: true, Computed: true,
				Default:             stringdefault.StaticString(health.DefaultHTTPPath),
				MarkdownDescription: "The path that is asked for, beginning with `/`. Default `\"/\"`.",
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"scheme": schema.StringAttribute{
				Optional: true, Computed: true,
				Default:             stringdefault.StaticString(health.DefaultHTTPScheme),
				MarkdownDescription: "`\"http\"` or `\"https\"`; the certificate is not verified. Default `\"http\"`.",
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"port": portAttribute(),
			"host": schema.StringAttribute{
				Optional: true, Computed: true,
				Default:             stringdefault.StaticString(health.DefaultHTTPHost),
				MarkdownDescription: "The `Host` header, and with `https` the name asked for in the handshake. Default `\"localhost\"`.",
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"headers": schema.MapAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Headers of the request. Default: none. Their values come into no log and no error.",
				Validators:          []validator.Map{mapvalidator.NoNullValues()},
			},
			"status_codes": schema.StringAttribute{
				Optional: true, Computed: true,
				Default:             stringdefault.StaticString(health.DefaultHTTPStatusCodes),
				MarkdownDescription: "The accepted status codes, such as `\"200-299,404\"`. Default `\"200-299\"`.",
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
		},
	}
}

func tcpAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "The replica accepts a connection.",
		Attributes:          map[string]schema.Attribute{"port": portAttribute()},
	}
}

func grpcAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "The replica answers `SERVING` by the [gRPC health protocol](https://github.com/grpc/grpc/blob/master/doc/health-checking.md).",
		Attributes: map[string]schema.Attribute{
			"port": portAttribute(),
			"service": schema.StringAttribute{
				Optional: true, Computed: true,
				Default:             stringdefault.StaticString(""),
				MarkdownDescription: "The service that is asked for. Default `\"\"`, the server as a whole.",
			},
		},
	}
}

func execAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "A command, run beside the replica with its environment variables, exits with 0.",
		Attributes: map[string]schema.Attribute{
			"command": schema.ListAttribute{
				Required: true, ElementType: types.StringType,
				MarkdownDescription: "The program and its arguments.",
				Validators:          []validator.List{listvalidator.SizeAtLeast(1), listvalidator.NoNullValues(), listvalidator.ValueStringsAre(withoutNUL())},
			},
		},
	}
}

func portAttribute() schema.Int64Attribute {
	return schema.Int64Attribute{
		Optional:            true,
		MarkdownDescription: "The port that is probed. Default: the one that the replica serves. On `local` it must be left out: there all replicas have one address.",
		Validators:          []validator.Int64{int64validator.AtLeast(1)},
	}
}
