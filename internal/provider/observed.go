// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// observedModel holds the computed attributes: a deployment as it was found, or as a
// plan expects it.
type observedModel struct {
	ID                 types.String `tfsdk:"id"`
	LiveEnvironment    types.String `tfsdk:"live_environment"`
	StagingEnvironment types.String `tfsdk:"staging_environment"`
	LiveVersion        types.String `tfsdk:"live_version"`
	LiveImage          types.String `tfsdk:"live_image"`
	DeploymentID       types.String `tfsdk:"deployment_id"`
	RollbackAvailable  types.Bool   `tfsdk:"rollback_available"`
	RollbackBlocked    types.String `tfsdk:"rollback_blocked"`
	Drift              types.String `tfsdk:"drift"`
	Endpoint           types.String `tfsdk:"endpoint"`
	PreviewEndpoint    types.String `tfsdk:"preview_endpoint"`
	Environments       types.Map    `tfsdk:"environments"`
}

// environmentModel is an element of environments.
type environmentModel struct {
	State             types.String
	Version           types.String
	Image             types.String
	ImageDigest       types.String
	Replicas          types.Int64
	ReadyReplicas     types.Int64
	HealthCheckPassed types.Bool
	DeployedAt        types.String
}

// observation is an observedModel whose environments can be changed.
type observation struct {
	observedModel
	environments map[bluegreen.Environment]environmentModel
}

// observe translates a status, found or predicted, into attributes.
func observe(id string, status bluegreen.Status, minHealthyPercent int) observation {
	o := observation{
		observedModel: observedModel{
			ID:                 types.StringValue(id),
			StagingEnvironment: types.StringValue(status.Ledger.Staging().String()),
			RollbackAvailable:  types.BoolValue(status.CanRollBack(minHealthyPercent)),
			RollbackBlocked:    errorOrNull(status.RollbackBlocked(minHealthyPercent)),
			Drift:              textOrNull(strings.Join(status.Drift, "; ")),
			Endpoint:           textOrNull(status.Endpoint),
			PreviewEndpoint:    textOrNull(status.Preview),
		},
		environments: map[bluegreen.Environment]environmentModel{},
	}
	if live := status.Ledger.Slot(status.Ledger.Live); status.Ledger.IsServing() {
		o.LiveEnvironment = types.StringValue(status.Ledger.Live.String())
		o.LiveVersion = types.StringValue(live.Release.Version)
		o.LiveImage = types.StringValue(live.Release.Image)
		o.DeploymentID = types.StringValue(live.Record)
	}
	for _, env := range bluegreen.Environments() {
		o.environments[env] = observeEnvironment(status.Ledger.Slot(env), status.Running[env]-status.Unready[env])
	}
	return o
}

func observeEnvironment(slot bluegreen.Slot, ready int) environmentModel {
	m := environmentModel{
		State:             types.StringValue(slot.State.String()),
		Replicas:          types.Int64Value(0),
		ReadyReplicas:     types.Int64Value(int64(ready)),
		HealthCheckPassed: types.BoolValue(slot.Checked),
		DeployedAt:        timeOrNull(slot.DeployedAt),
	}
	if slot.Release != nil {
		m.Version = types.StringValue(slot.Release.Version)
		m.Image = types.StringValue(slot.Release.Image)
		m.ImageDigest = textOrNull(slot.Release.ImageDigest)
		m.Replicas = types.Int64Value(int64(slot.Release.Replicas))
	}
	return m
}

// model returns the observation with its environments as an attribute.
func (o observation) model() observedModel {
	environments := map[string]attr.Value{}
	for env, m := range o.environments {
		environments[env.String()] = m.object()
	}
	o.Environments = types.MapValueMust(environmentType, environments)
	return o.observedModel
}

// object returns the same as types.ObjectValueFrom, which is slow: every refresh and
// every plan needs two.
func (m environmentModel) object() types.Object {
	return types.ObjectValueMust(environmentType.AttrTypes, map[string]attr.Value{
		"state":               m.State,
		"version":             m.Version,
		"image":               m.Image,
		"image_digest":        m.ImageDigest,
		"replicas":            m.Replicas,
		readyReplicas:         m.ReadyReplicas,
		"health_check_passed": m.HealthCheckPassed,
		"deployed_at":         m.DeployedAt,
	})
}

// isEqual reports whether all attributes of m and o are equal.
func (m observedModel) isEqual(o observedModel) bool {
	return m.ID.Equal(o.ID) &&
		m.LiveEnvironment.Equal(o.LiveEnvironment) &&
		m.StagingEnvironment.Equal(o.StagingEnvironment) &&
		m.LiveVersion.Equal(o.LiveVersion) &&
		m.LiveImage.Equal(o.LiveImage) &&
		m.DeploymentID.Equal(o.DeploymentID) &&
		m.RollbackAvailable.Equal(o.RollbackAvailable) &&
		m.RollbackBlocked.Equal(o.RollbackBlocked) &&
		m.Drift.Equal(o.Drift) &&
		m.Endpoint.Equal(o.Endpoint) &&
		m.PreviewEndpoint.Equal(o.PreviewEndpoint) &&
		m.Environments.Equal(o.Environments)
}

// readyReplicas is the attribute of an environment that a plan reads back.
const readyReplicas = "ready_replicas"

// readyReplicas returns how many replicas ran and were healthy in each environment.
func (m observedModel) readyReplicas() map[bluegreen.Environment]int {
	ready := map[bluegreen.Environment]int{}
	for env, value := range m.Environments.Elements() {
		if environment, ok := value.(types.Object); ok {
			if count, ok := environment.Attributes()[readyReplicas].(types.Int64); ok {
				ready[bluegreen.Environment(env)] = int(count.ValueInt64())
			}
		}
	}
	return ready
}

// unknownObservation is what a plan shows while a setting that decides what the
// apply does is unknown.
func unknownObservation(id types.String) observedModel {
	return observedModel{
		ID:                 id,
		LiveEnvironment:    types.StringUnknown(),
		StagingEnvironment: types.StringUnknown(),
		LiveVersion:        types.StringUnknown(),
		LiveImage:          types.StringUnknown(),
		DeploymentID:       types.StringUnknown(),
		RollbackAvailable:  types.BoolUnknown(),
		RollbackBlocked:    types.StringUnknown(),
		Drift:              types.StringUnknown(),
		Endpoint:           types.StringUnknown(),
		PreviewEndpoint:    types.StringUnknown(),
		Environments:       types.MapUnknown(environmentType),
	}
}

func textOrNull(s string) types.String {
	if s == "" {
		return types.StringNull()
	}
	return types.StringValue(s)
}

func errorOrNull(err error) types.String {
	if err == nil {
		return types.StringNull()
	}
	return types.StringValue(err.Error())
}

func timeOrNull(t *time.Time) types.String {
	if t == nil {
		return types.StringNull()
	}
	return types.StringValue(t.UTC().Format(time.RFC3339))
}
