// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/defaults"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// shortcut answers Terraform without the framework for a deployment that has not changed:
// the upgrade of its state, its refresh and its plan. The framework walks the whole schema
// several times for each answer, which is more than half of the time of a plan of many
// deployments.
//
// The invariant: the shortcut answers only if the framework would answer the same, from
// the same status of the deployment. Same means that Terraform reads the same from every
// field of the answer: the state or the plan, the private state, the identity, and no
// diagnostics. If the shortcut is not sure, it returns nil, and the framework answers.
//
// The acceptance tests check the invariant: comparingServer also asks the framework for
// each answer of the shortcut, and fails the test if a field differs.
type shortcut struct {
	provider *bluegreenProvider
	// facts are derived from the schema when they are first needed.
	facts    func() schemaFacts
	answered shortcutCounts
}

// shortcutCounts counts the answers of a shortcut. A nil is no answer.
type shortcutCounts struct{ upgrades, refreshes, plans atomic.Int64 }

// schemaFacts are what the shortcut needs to know of the schema of a deployment.
type schemaFacts struct {
	schema.Schema
	objectType   tftypes.Type
	identity     tfsdk.ResourceIdentity
	identityType tftypes.Type
}

func newShortcut(p *bluegreenProvider) *shortcut {
	return &shortcut{provider: p, facts: sync.OnceValue(func() schemaFacts {
		ctx := context.Background()
		s := deploymentSchema(ctx)
		var identity resource.IdentitySchemaResponse
		(&deploymentResource{}).IdentitySchema(ctx, resource.IdentitySchemaRequest{}, &identity)
		return schemaFacts{
			Schema:       s,
			objectType:   s.Type().TerraformType(ctx),
			identity:     tfsdk.ResourceIdentity{Schema: identity.IdentitySchema},
			identityType: identity.IdentitySchema.Type().TerraformType(ctx),
		}
	})}
}

// upgrade returns a state of the current version of the schema as Terraform sent it, nil
// if the framework must upgrade it. The framework would decode it and encode it again.
//
// The invariant holds for each state that fits the schema. Terraform itself removes the
// attributes that the schema lacks before it asks, and refuses a state that does not fit
// when it decodes the answer.
func (s *shortcut) upgrade(req *tfprotov6.UpgradeResourceStateRequest) *tfprotov6.UpgradeResourceStateResponse {
	if req.Version != s.facts().GetVersion() || req.RawState == nil || len(req.RawState.JSON) == 0 {
		return nil
	}
	s.answered.upgrades.Add(1)
	return &tfprotov6.UpgradeResourceStateResponse{
		UpgradedState: &tfprotov6.DynamicValue{JSON: req.RawState.JSON},
	}
}

// plan returns the plan that changes nothing, nil if the framework must plan. The
// framework's plan changes nothing, and has no diagnostics, if
//   - Terraform proposes the prior state,
//   - the defaults, which the framework fills in, change nothing of it,
//   - and ModifyPlan changes nothing of it.
//
// The plan modifiers of this schema do nothing without a difference.
func (s *shortcut) plan(
	ctx context.Context, req *tfprotov6.PlanResourceChangeRequest,
) *tfprotov6.PlanResourceChangeResponse {
	if req.PriorState == nil || req.ProposedNewState == nil || req.Config == nil ||
		!bytes.Equal(req.PriorState.MsgPack, req.ProposedNewState.MsgPack) {
		return nil
	}
	state, ok := s.decode(req.PriorState)
	if !ok {
		return nil
	}
	config, ok := s.decode(req.Config)
	if !ok || !hasDefaults(ctx, s.facts().Attributes, config, state) {
		return nil
	}
	r, prior, private, ok := s.resource(ctx, state, req.PriorPrivate)
	if !ok || !hasSameReplicas(config, prior) {
		return nil
	}
	base, diags := newPlanBase(ctx, &prior, private, prior.Name.ValueString())
	if len(diags) > 0 {
		return nil
	}
	plan := prior
	if diags := r.plan(ctx, &plan, base); len(diags) > 0 || !plan.isEqual(prior.observedModel) {
		return nil
	}
	identity, ok := s.plannedIdentity(req.PriorIdentity)
	if !ok {
		return nil
	}
	s.answered.plans.Add(1)
	return &tfprotov6.PlanResourceChangeResponse{
		PlannedState:    req.PriorState,
		PlannedPrivate:  req.PriorPrivate,
		PlannedIdentity: identity,
	}
}

// plannedIdentity returns the prior identity. Without one, as with a Terraform that
// knows no identities, it returns a null identity, as the framework does.
func (s *shortcut) plannedIdentity(prior *tfprotov6.ResourceIdentityData) (*tfprotov6.ResourceIdentityData, bool) {
	if prior != nil {
		return prior, prior.IdentityData != nil
	}
	identityType := s.facts().identityType
	null, err := tfprotov6.NewDynamicValue(identityType, tftypes.NewValue(identityType, nil))
	return &tfprotov6.ResourceIdentityData{IdentityData: &null}, err == nil
}

// read returns the refresh that changes nothing, nil if the framework must refresh:
// when the platform, the ledger in the private state, the identity or anything else
// tells something new.
func (s *shortcut) read(ctx context.Context, req *tfprotov6.ReadResourceRequest) *tfprotov6.ReadResourceResponse {
	if req.CurrentState == nil {
		return nil
	}
	state, ok := s.decode(req.CurrentState)
	if !ok {
		return nil
	}
	r, m, private, ok := s.resource(ctx, state, req.Private)
	if !ok {
		return nil
	}
	key, diags := readFingerprintKey(ctx, private)
	opened, more := r.open(ctx, m, purpose{key: key})
	defer opened.close()
	if len(diags)+len(more) > 0 {
		return nil
	}
	status, err := opened.statusOfRefresh(ctx)
	hasWarning := status.Outage != nil || status.Notice != "" || status.LedgerLost != ""
	if err != nil || hasWarning || !opened.observe(status).isEqual(m.observedModel) {
		return nil
	}
	applied, isStored, diags := storedApplied(ctx, private)
	refreshed := m
	refreshed.refreshRelease(status.Ledger, applied)
	if len(diags) > 0 || !isStored || !refreshed.Version.Equal(m.Version) || !refreshed.Image.Equal(m.Image) {
		return nil
	}
	// The private state of an import has another key, or none.
	written := privateKeys{appliedKey: private[appliedKey]}
	if len(writeStatus(ctx, written, status)) > 0 || !maps.EqualFunc(written, private, bytes.Equal) {
		return nil
	}
	identity, ok := s.identity(ctx, opened, req.CurrentIdentity)
	if !ok {
		return nil
	}
	s.answered.refreshes.Add(1)
	return &tfprotov6.ReadResourceResponse{NewState: req.CurrentState, NewIdentity: identity, Private: req.Private}
}

// identity returns the identity of the deployment. It returns false if the state has
// another one.
func (s *shortcut) identity(
	ctx context.Context, opened openDeployment, current *tfprotov6.ResourceIdentityData,
) (*tfprotov6.ResourceIdentityData, bool) {
	identity := s.facts().identity
	if diags := identity.Set(ctx, opened.identity()); len(diags) > 0 {
		return nil, false
	}
	identityType := s.facts().identityType
	if current != nil && current.IdentityData != nil {
		known, err := current.IdentityData.Unmarshal(identityType)
		return current, err == nil && known.Equal(identity.Raw)
	}
	value, err := tfprotov6.NewDynamicValue(identityType, identity.Raw)
	return &tfprotov6.ResourceIdentityData{IdentityData: &value}, err == nil
}

// decode returns an object that is neither null nor unknown.
func (s *shortcut) decode(value *tfprotov6.DynamicValue) (tftypes.Value, bool) {
	object, err := value.Unmarshal(s.facts().objectType)
	return object, err == nil && !object.IsNull() && object.IsKnown()
}

// resource returns the resource, the model and the private state that the framework
// would pass to Read and ModifyPlan.
func (s *shortcut) resource(
	ctx context.Context, state tftypes.Value, encoded []byte,
) (r deploymentResource, m deploymentModel, private privateKeys, ok bool) {
	configured := s.provider.configured.Load()
	if configured == nil || json.Unmarshal(encoded, &private) != nil {
		return r, m, private, false
	}
	r.provider = *configured
	value, err := s.facts().Type().ValueFromTerraform(ctx, state)
	object, isObject := value.(types.Object)
	return r, m, private, err == nil && isObject && fillModel(&m, object.Attributes()) == nil
}

// hasSameReplicas reports whether the configured size, or its default, is that of the
// prior state. The schema has no default for it, because it depends on the platform.
func hasSameReplicas(config tftypes.Value, prior deploymentModel) bool {
	var configured map[string]tftypes.Value
	if config.As(&configured) != nil {
		return false
	}
	if !configured["replicas"].IsNull() {
		return true
	}
	unconfigured := deploymentModel{platformsModel: prior.platformsModel}
	unconfigured.planReplicas()
	return unconfigured.Replicas.Equal(prior.Replicas)
}

// hasDefaults reports whether the state already has the default of each attribute that
// is not configured, at any depth. The framework's defaults then change nothing of a plan
// that proposes the state, which has all configured values.
func hasDefaults(ctx context.Context, attributes map[string]schema.Attribute, config, state tftypes.Value) bool {
	if config.IsNull() || state.IsNull() {
		// The framework fills in no default below an object that is null.
		return true
	}
	var configured, before map[string]tftypes.Value
	if config.As(&configured) != nil || state.As(&before) != nil {
		return false
	}
	for name, attribute := range attributes {
		if !hasDefault(ctx, attribute, configured[name], before[name]) {
			return false
		}
	}
	return true
}

// hasDefault reports whether one attribute is configured, has its default in the state,
// or has no default.
func hasDefault(ctx context.Context, attribute schema.Attribute, config, state tftypes.Value) bool {
	switch a := attribute.(type) {
	case schema.StringAttribute:
		if a.Default == nil {
			return true
		}
		var resp defaults.StringResponse
		a.Default.DefaultString(ctx, defaults.StringRequest{}, &resp)
		return !config.IsNull() || hasValue(ctx, state, resp.PlanValue)
	case schema.Int64Attribute:
		if a.Default == nil {
			return true
		}
		var resp defaults.Int64Response
		a.Default.DefaultInt64(ctx, defaults.Int64Request{}, &resp)
		return !config.IsNull() || hasValue(ctx, state, resp.PlanValue)
	case schema.BoolAttribute:
		if a.Default == nil {
			return true
		}
		var resp defaults.BoolResponse
		a.Default.DefaultBool(ctx, defaults.BoolRequest{}, &resp)
		return !config.IsNull() || hasValue(ctx, state, resp.PlanValue)
	case schema.SingleNestedAttribute:
		if a.Default == nil {
			return hasDefaults(ctx, a.Attributes, config, state)
		}
	case schema.ListAttribute:
		if a.Default == nil {
			return true
		}
	case schema.MapAttribute:
		if a.Default == nil {
			return true
		}
	case schema.MapNestedAttribute:
		if a.Default == nil && a.Computed && !a.Optional {
			return true
		}
	}
	// The shortcut does not know the defaults of every other attribute, so that it
	// answers only if the attribute is not used at all.
	return config.IsNull() && state.IsNull()
}

// hasValue reports whether the value in the state is this one.
func hasValue(ctx context.Context, state tftypes.Value, value attr.Value) bool {
	v, err := value.ToTerraformValue(ctx)
	return err == nil && state.Equal(v)
}
