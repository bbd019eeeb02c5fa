// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// comparingServer is the provider of the acceptance tests. For each call that the shortcut
// answers it asks the framework too, and fails the test unless both answers are the same
// in all fields: state, private state, identity, diagnostics and all others. If another
// call got the answer of the shortcut at the same time, it compares the framework with
// itself.
type comparingServer struct {
	*server
	t testing.TB
	// lastRefresh is the last request of a refresh.
	lastRefresh atomic.Pointer[tfprotov6.ReadResourceRequest]
}

// allAnswered counts the answers of the shortcut in all tests.
var allAnswered shortcutCounts

func newComparingServer(t testing.TB) *comparingServer {
	c := &comparingServer{server: newServer("test"), t: t}
	t.Cleanup(func() {
		allAnswered.upgrades.Add(c.shortcut.answered.upgrades.Load())
		allAnswered.refreshes.Add(c.shortcut.answered.refreshes.Load())
		allAnswered.plans.Add(c.shortcut.answered.plans.Load())
	})
	return c
}

// UpgradeResourceState compares two answers, of which the shortcut's is in JSON.
func (c *comparingServer) UpgradeResourceState(
	ctx context.Context, req *tfprotov6.UpgradeResourceStateRequest,
) (*tfprotov6.UpgradeResourceStateResponse, error) {
	before := c.shortcut.answered.upgrades.Load()
	answer, err := c.server.UpgradeResourceState(ctx, req)
	if err != nil || c.shortcut.answered.upgrades.Load() == before {
		return answer, err
	}
	framework, err := c.frameworkServer.UpgradeResourceState(ctx, req)
	if err != nil {
		return nil, err
	}
	c.mustBeSame("upgrade", answer, framework)
	return answer, nil
}

// ReadResource compares two answers that are made from the same status.
func (c *comparingServer) ReadResource(
	ctx context.Context, req *tfprotov6.ReadResourceRequest,
) (*tfprotov6.ReadResourceResponse, error) {
	c.lastRefresh.Store(req)
	ctx = withSharedStatus(ctx)
	before := c.shortcut.answered.refreshes.Load()
	answer, err := c.server.ReadResource(ctx, req)
	if err != nil || c.shortcut.answered.refreshes.Load() == before {
		return answer, err
	}
	framework, err := c.frameworkServer.ReadResource(ctx, req)
	if err != nil {
		return nil, err
	}
	c.mustBeSame("refresh", answer, framework)
	return answer, nil
}

// PlanResourceChange compares two plans.
func (c *comparingServer) PlanResourceChange(
	ctx context.Context, req *tfprotov6.PlanResourceChangeRequest,
) (*tfprotov6.PlanResourceChangeResponse, error) {
	before := c.shortcut.answered.plans.Load()
	answer, err := c.server.PlanResourceChange(ctx, req)
	if err != nil || c.shortcut.answered.plans.Load() == before {
		return answer, err
	}
	framework, err := c.frameworkServer.PlanResourceChange(ctx, req)
	if err != nil {
		return nil, err
	}
	c.mustBeSame("plan", answer, framework)
	return answer, nil
}

func (c *comparingServer) mustBeSame(call string, shortcut, framework any) {
	c.t.Helper()
	if diff := compareAnswers(c.shortcut.facts(), shortcut, framework); diff != "" {
		c.t.Errorf("the shortcut answers the %s differently (+) than the framework (-):\n%s", call, diff)
	}
}

// compareAnswers returns what differs in two answers, "" if nothing does. It compares all
// fields. It decodes states and identities first, because the framework encodes the
// elements of a map in random order.
func compareAnswers(facts schemaFacts, shortcut, framework any) string {
	return cmp.Diff(framework, shortcut,
		cmp.Transformer("state", func(state *tfprotov6.DynamicValue) decodedObject {
			return decodeObject(state, facts.objectType)
		}),
		cmp.Transformer("identity", func(identity *tfprotov6.ResourceIdentityData) decodedObject {
			if identity == nil {
				return decodedObject{}
			}
			return decodeObject(identity.IdentityData, facts.identityType)
		}),
		// A message does not tell an empty list from none.
		cmpopts.EquateEmpty(),
	)
}

// decodedObject is a state, a plan or an identity in an answer. Its zero value is an answer
// without one.
type decodedObject struct {
	IsThere, IsNull bool
	Attributes      map[string]tftypes.Value
}

func decodeObject(encoded *tfprotov6.DynamicValue, objectType tftypes.Type) decodedObject {
	if encoded == nil {
		return decodedObject{}
	}
	value, err := encoded.Unmarshal(objectType)
	decoded := decodedObject{IsThere: true, IsNull: value.IsNull()}
	if err == nil {
		err = value.As(&decoded.Attributes)
	}
	if err != nil {
		panic(fmt.Sprintf("an answer of the provider cannot be decoded: %v", err))
	}
	return decoded
}

// formatted returns diagnostics as a text.
func formatted(diagnostics []*tfprotov6.Diagnostic) string {
	var text strings.Builder
	for _, d := range diagnostics {
		fmt.Fprintf(&text, "%s: %s\n", d.Summary, d.Detail)
	}
	return text.String()
}
