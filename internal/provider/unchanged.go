// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// unchanged tells the deployments with which nothing has happened, or is to be
// done. Where it is not sure it says no: the framework then tells what is
// different, or wrong.
type unchanged struct {
	provider *bluegreenProvider
	// known is what the schema comes to. Not every process needs it.
	known func() schemaFacts
}

// schemaFacts are what unchanged needs of the schema of a deployment.
type schemaFacts struct {
	schema.Schema
	terraformType tftypes.Type
	// defaulted reports whether the defaults leave a state as it is.
	defaulted condition
	identity  tfsdk.ResourceIdentity
}

func newUnchanged(p *bluegreenProvider) *unchanged {
	return &unchanged{provider: p, known: sync.OnceValue(func() schemaFacts {
		ctx := context.Background()
		s := deploymentSchema(ctx)
		var identity resource.IdentitySchemaResponse
		(&deploymentResource{}).IdentitySchema(ctx, resource.IdentitySchemaRequest{}, &identity)
		return schemaFacts{
			Schema:        s,
			terraformType: s.Type().TerraformType(ctx),
			defaulted:     nestedDefaults(ctx, s.Attributes),
			identity:      tfsdk.ResourceIdentity{Schema: identity.IdentitySchema},
		}
	})}
}

func (u *unchanged) version() int64 { return u.known().GetVersion() }

// plan reports whether the plan that is asked for is the prior state, without a
// word to the user. The framework comes to that when
//   - what Terraform proposes is the prior state,
//   - the defaults, which are for the framework to fill in, change nothing of it,
//   - and ModifyPlan changes nothing of it either.
//
// Plan modifiers of attributes have no part in it: in this schema they act upon a
// difference.
func (u *unchanged) plan(ctx context.Context, req *tfprotov6.PlanResourceChangeRequest) bool {
	if req.PriorState == nil || req.ProposedNewState == nil || req.Config == nil || !bytes.Equal(req.PriorState.MsgPack, req.ProposedNewState.MsgPack) {
		return false
	}
	state, ok := u.decode(req.PriorState)
	if !ok {
		return false
	}
	config, ok := u.decode(req.Config)
	if !ok || !u.known().defaulted(config, state) {
		return false
	}
	r, prior, keys, ok := u.resource(ctx, state, req.PriorPrivate)
	if !ok {
		return false
	}
	base := planBase{prior: &prior}
	if diags := base.read(ctx, keys, prior.Name.ValueString()); len(diags) > 0 {
		return false
	}
	if !replicasStay(config, prior) {
		return false
	}
	plan := prior
	diags := r.plan(ctx, &plan, base)
	return len(diags) == 0 && plan.equal(prior.observedModel)
}

// replicasStay reports whether the size that is configured, or its default, is
// that of the prior state. The default depends on the platform, so that the schema
// has none.
func replicasStay(config tftypes.Value, prior deploymentModel) bool {
	var configured map[string]tftypes.Value
	if config.As(&configured) != nil {
		return false
	}
	if !configured["replicas"].IsNull() {
		return true
	}
	unconfigured := deploymentModel{platformsModel: prior.platformsModel}
	unconfigured.defaultReplicas()
	return unconfigured.Replicas.Equal(prior.Replicas)
}

// decode returns an object that is there.
func (u *unchanged) decode(value *tfprotov6.DynamicValue) (tftypes.Value, bool) {
	object, err := value.Unmarshal(u.known().terraformType)
	return object, err == nil && !object.IsNull() && object.IsKnown()
}

// resource returns what Read and ModifyPlan are called on and with.
func (u *unchanged) resource(ctx context.Context, state tftypes.Value, private []byte) (r deploymentResource, m deploymentModel, keys privateKeys, ok bool) {
	configured := u.provider.configured.Load()
	if configured == nil || json.Unmarshal(private, &keys) != nil {
		return r, m, keys, false
	}
	r.provider = *configured
	diags := (tfsdk.State{Schema: u.known().Schema, Raw: state}).Get(ctx, &m)
	return r, m, keys, len(diags) == 0
}
