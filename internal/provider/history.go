// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"cmp"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
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

// healthTypes returns the types of the attributes of a record's health.
func healthTypes() map[string]attr.Type {
	all := attributeTypes(healthFields)
	all["details"] = types.MapType{ElemType: types.BoolType}
	all["causes"] = types.MapType{ElemType: types.StringType}
	return all
}

// recordTypes returns the types of the attributes of a record.
func recordTypes() map[string]attr.Type {
	all := attributeTypes(recordFields)
	all["health"] = types.ObjectType{AttrTypes: healthTypes()}
	return all
}

// historyList returns the records as the attribute history. It makes the values itself: there
// may be thousands, and the framework takes three times as long to make them from structs.
func historyList(records []bluegreen.Record) types.List {
	recordTypes, healthTypes := recordTypes(), healthTypes()
	values := make([]attr.Value, 0, len(records))
	for _, r := range records {
		values = append(values, types.ObjectValueMust(recordTypes, map[string]attr.Value{
			"id":             types.StringValue(r.ID),
			"operation":      types.StringValue(string(r.Operation)),
			"origin":         types.StringValue(string(cmp.Or(r.Origin, bluegreen.FromConfiguration))),
			"environment":    types.StringValue(r.Environment.String()),
			"version":        types.StringValue(r.Version),
			"image":          types.StringValue(r.Image),
			"image_digest":   textOrNull(r.ImageDigest),
			"replicas":       types.Int64Value(int64(r.Replicas)),
			"deployed_at":    timeOrNull(&r.DeployedAt),
			"switched_at":    timeOrNull(r.SwitchedAt),
			"rolled_back_at": timeOrNull(r.RolledBackAt),
			"status":         types.StringValue(string(r.Status)),
			"reason":         textOrNull(r.Reason),
			"actor":          textOrNull(r.Actor),
			"replaced":       textOrNull(r.Replaced),
			"health":         healthObject(r.Health, healthTypes),
		}))
	}
	return types.ListValueMust(types.ObjectType{AttrTypes: recordTypes}, values)
}

// healthObject returns the evidence on which a release was allowed to go live, null for none.
func healthObject(result *bluegreen.HealthResult, healthTypes map[string]attr.Type) types.Object {
	if result == nil {
		return types.ObjectNull(healthTypes)
	}
	return types.ObjectValueMust(healthTypes, map[string]attr.Value{
		"healthy":       types.BoolValue(result.Healthy),
		"checks_passed": types.Int64Value(int64(result.ChecksPassed)),
		"checks_failed": types.Int64Value(int64(result.ChecksFailed)),
		"duration":      types.StringValue(result.Duration.Round(time.Millisecond).String()),
		"details":       mapOf(types.BoolType, result.Details, types.BoolValue),
		"causes":        mapOf(types.StringType, result.Causes, types.StringValue),
	})
}

// mapOf returns a map of values, null for a nil map.
func mapOf[T any, V attr.Value](element attr.Type, texts map[string]T, value func(T) V) types.Map {
	if texts == nil {
		return types.MapNull(element)
	}
	values := make(map[string]attr.Value, len(texts))
	for name, text := range texts {
		values[name] = value(text)
	}
	return types.MapValueMust(element, values)
}
