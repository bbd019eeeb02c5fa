// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// read returns the answer to a refresh that finds everything as it is in the
// state, nil to any other. What it has seen then goes to Read with the context.
func (u *unchanged) read(ctx context.Context, req *tfprotov6.ReadResourceRequest) (context.Context, *tfprotov6.ReadResourceResponse) {
	state, ok := u.decode(req.CurrentState)
	if !ok {
		return ctx, nil
	}
	r, m, keys, ok := u.resource(ctx, state, req.Private)
	if !ok || len(keys) != 1 {
		// An import has another key, or none.
		return ctx, nil
	}
	op, diags := r.operation(ctx, m)
	defer op.close()
	if len(diags) > 0 {
		return ctx, nil
	}
	seen := op.see(ctx)
	ctx = context.WithValue(ctx, sightKey{}, seen)
	if seen.err != nil || !op.observe(seen.status).equal(m.observedModel) {
		return ctx, nil
	}
	ledger, err := json.Marshal(seen.status.Ledger)
	if err != nil || !bytes.Equal(ledger, keys[ledgerKey]) {
		return ctx, nil
	}
	identity, ok := u.identity(ctx, op, req.CurrentIdentity)
	if !ok {
		return ctx, nil
	}
	return ctx, &tfprotov6.ReadResourceResponse{NewState: req.CurrentState, NewIdentity: identity, Private: req.Private}
}

// identity returns the identity of the deployment, unless it has another one.
func (u *unchanged) identity(ctx context.Context, op operation, current *tfprotov6.ResourceIdentityData) (*tfprotov6.ResourceIdentityData, bool) {
	identity := u.known().identity
	if diags := identity.Set(ctx, op.identity()); len(diags) > 0 {
		return nil, false
	}
	identityType := identity.Schema.Type().TerraformType(ctx)
	if current != nil && current.IdentityData != nil {
		known, err := current.IdentityData.Unmarshal(identityType)
		return current, err == nil && known.Equal(identity.Raw)
	}
	value, err := tfprotov6.NewDynamicValue(identityType, identity.Raw)
	return &tfprotov6.ResourceIdentityData{IdentityData: &value}, err == nil
}

// sight is what a refresh sees.
type sight struct {
	status bluegreen.Status
	err    error
}

type sightKey struct{}

// see looks at the deployment, once for a refresh: a platform that does not
// answer is not waited for twice.
func (o operation) see(ctx context.Context) sight {
	if seen, ok := ctx.Value(sightKey{}).(sight); ok {
		return seen
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	status, err := o.Status(ctx)
	return sight{status, err}
}
