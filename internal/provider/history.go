// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"cmp"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

var recordFields = []field{
	{"id", types.StringType, "`deploy-N`, `rollback-N` or `adopt-N`; no N is used twice."},
	{"operation", types.StringType, "`deploy`, `rollback` or `adopt`."},
	{"origin", types.StringType, "What asked for it: `configuration`, `watch` or `operator`."},
	{"environment", types.StringType, "Where it went: `blue` or `green`."},
	{"version", types.StringType, "The version of the release."},
	{"image", types.StringType, "The image of the release."},
	{"image_digest", types.StringType, "What the image was pinned to."},
	{"replicas", types.Int64Type, "How many replicas it had."},
	{"deployed_at", types.StringType, "When it was deployed (RFC 3339)."},
	{"switched_at", types.StringType, "When it got the traffic; null if it never did."},
	{"rolled_back_at", types.StringType, "When it was taken out of service by a rollback; null if it never was."},
	{"status", types.StringType, "`in_progress`, `ready`, `live`, `superseded`, `rolled_back` or `failed`."},
	{"reason", types.StringType, "Why it failed or was rolled back, or why a rollback was made."},
	{"actor", types.StringType, "Who did it: user, host and process."},
	{"replaced", types.StringType, "The record that was live before it."},
}

var healthFields = []field{
	{"healthy", types.BoolType, "Whether enough replicas passed."},
	{"checks_passed", types.Int64Type, "How many checks passed, over all replicas."},
	{"checks_failed", types.Int64Type, "How many checks failed, over all replicas."},
	{"duration", types.StringType, "The time from the first probe to the verdict."},
}

// recordModel is an element of history.
type recordModel struct {
	ID           types.String       `tfsdk:"id"`
	Operation    types.String       `tfsdk:"operation"`
	Origin       types.String       `tfsdk:"origin"`
	Environment  types.String       `tfsdk:"environment"`
	Version      types.String       `tfsdk:"version"`
	Image        types.String       `tfsdk:"image"`
	ImageDigest  types.String       `tfsdk:"image_digest"`
	Replicas     types.Int64        `tfsdk:"replicas"`
	DeployedAt   types.String       `tfsdk:"deployed_at"`
	SwitchedAt   types.String       `tfsdk:"switched_at"`
	RolledBackAt types.String       `tfsdk:"rolled_back_at"`
	Status       types.String       `tfsdk:"status"`
	Reason       types.String       `tfsdk:"reason"`
	Actor        types.String       `tfsdk:"actor"`
	Replaced     types.String       `tfsdk:"replaced"`
	Health       *healthRecordModel `tfsdk:"health"`
}

// healthRecordModel is the evidence on which a release was allowed to go live.
type healthRecordModel struct {
	Healthy      types.Bool        `tfsdk:"healthy"`
	ChecksPassed types.Int64       `tfsdk:"checks_passed"`
	ChecksFailed types.Int64       `tfsdk:"checks_failed"`
	Duration     types.String      `tfsdk:"duration"`
	Details      map[string]bool   `tfsdk:"details"`
	Causes       map[string]string `tfsdk:"causes"`
}

func historyAttribute() schema.Attribute {
	evidence := dataAttributes(healthFields)
	evidence["details"] = schema.MapAttribute{
		Computed: true, ElementType: types.BoolType,
		MarkdownDescription: "For each check of each replica, such as `green-1 http`, whether it passed. " +
			"The record of a release that runs no more has only those that failed.",
	}
	evidence["causes"] = schema.MapAttribute{
		Computed: true, ElementType: types.StringType,
		MarkdownDescription: "The last cause of each check that failed.",
	}
	record := dataAttributes(recordFields)
	record["health"] = schema.SingleNestedAttribute{
		Computed:            true,
		MarkdownDescription: "The evidence of its health check; null if it had none.",
		Attributes:          evidence,
	}
	return schema.ListNestedAttribute{
		Computed:            true,
		MarkdownDescription: describe("data.history"),
		NestedObject:        schema.NestedAttributeObject{Attributes: record},
	}
}

func recordModels(records []bluegreen.Record) []recordModel {
	models := make([]recordModel, 0, len(records))
	for _, r := range records {
		models = append(models, recordModel{
			ID:           types.StringValue(r.ID),
			Operation:    types.StringValue(string(r.Operation)),
			Origin:       types.StringValue(string(cmp.Or(r.Origin, bluegreen.FromConfiguration))),
			Environment:  types.StringValue(r.Environment.String()),
			Version:      types.StringValue(r.Version),
			Image:        types.StringValue(r.Image),
			ImageDigest:  textOrNull(r.ImageDigest),
			Replicas:     types.Int64Value(int64(r.Replicas)),
			DeployedAt:   timeOrNull(&r.DeployedAt),
			SwitchedAt:   timeOrNull(r.SwitchedAt),
			RolledBackAt: timeOrNull(r.RolledBackAt),
			Status:       types.StringValue(string(r.Status)),
			Reason:       textOrNull(r.Reason),
			Actor:        textOrNull(r.Actor),
			Replaced:     textOrNull(r.Replaced),
			Health:       healthRecord(r.Health),
		})
	}
	return models
}

func healthRecord(result *bluegreen.HealthResult) *healthRecordModel {
	if result == nil {
		return nil
	}
	return &healthRecordModel{
		Healthy:      types.BoolValue(result.Healthy),
		ChecksPassed: types.Int64Value(int64(result.ChecksPassed)),
		ChecksFailed: types.Int64Value(int64(result.ChecksFailed)),
		Duration:     types.StringValue(result.Duration.Round(time.Millisecond).String()),
		Details:      result.Details,
		Causes:       result.Causes,
	}
}
