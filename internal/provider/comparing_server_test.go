// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"reflect"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// comparingServer is the provider of the acceptance tests. For every refresh and
// every plan that the shortcut answers it asks the framework too, and fails the test
// unless both answers have the same bytes: state, private state, identity,
// diagnostics and all other fields of the answer.
type comparingServer struct {
	*server
	t testing.TB
	// answered counts the answers of the shortcut.
	answered shortcutCounts
	// lastRefresh is the last request of a refresh.
	lastRefresh atomic.Pointer[tfprotov6.ReadResourceRequest]
}

// shortcutCounts counts answers of the shortcut that were compared.
type shortcutCounts struct{ refreshes, plans atomic.Int64 }

func (c *shortcutCounts) String() string {
	return fmt.Sprintf("%d refreshes and %d plans", c.refreshes.Load(), c.plans.Load())
}

// allAnswered counts the answers of the shortcut in all tests.
var allAnswered shortcutCounts

func newComparingServer(t testing.TB) *comparingServer {
	return &comparingServer{server: newServer("test"), t: t}
}

// ReadResource compares two answers that are made from the same status.
func (c *comparingServer) ReadResource(
	ctx context.Context, req *tfprotov6.ReadResourceRequest,
) (*tfprotov6.ReadResourceResponse, error) {
	c.lastRefresh.Store(req)
	ctx = withSharedStatus(ctx)
	answer, err := c.server.ReadResource(ctx, req)
	// The shortcut returns the very state that it was given. The framework encodes it
	// again.
	if err != nil || answer.NewState != req.CurrentState {
		return answer, err
	}
	c.answered.refreshes.Add(1)
	allAnswered.refreshes.Add(1)
	framework, err := c.ProviderServer.ReadResource(ctx, req)
	if err != nil {
		return nil, err
	}
	c.mustBeEqual("refresh", answer, framework)
	return answer, nil
}

func (c *comparingServer) PlanResourceChange(
	ctx context.Context, req *tfprotov6.PlanResourceChangeRequest,
) (*tfprotov6.PlanResourceChangeResponse, error) {
	answer, err := c.server.PlanResourceChange(ctx, req)
	if err != nil || answer.PlannedState != req.PriorState {
		return answer, err
	}
	c.answered.plans.Add(1)
	allAnswered.plans.Add(1)
	framework, err := c.ProviderServer.PlanResourceChange(ctx, req)
	if err != nil {
		return nil, err
	}
	c.mustBeEqual("plan", answer, framework)
	return answer, nil
}

// UpgradeResourceState compares the values. The bytes differ: the provider returns
// JSON, and the framework MessagePack.
func (c *comparingServer) UpgradeResourceState(
	ctx context.Context, req *tfprotov6.UpgradeResourceStateRequest,
) (*tfprotov6.UpgradeResourceStateResponse, error) {
	answer, err := c.server.UpgradeResourceState(ctx, req)
	if err != nil {
		return nil, err
	}
	framework, err := c.ProviderServer.UpgradeResourceState(ctx, req)
	if err != nil {
		return nil, err
	}
	if got, want := answer.UpgradedState, framework.UpgradedState; !c.hasSameValues(got, want) {
		c.t.Errorf("the provider upgrades a state to\n%s\nand the framework to\n%s", formatted(got), formatted(want))
	}
	return answer, nil
}

// mustBeEqual fails the test unless both answers, of the same type, have the same
// bytes on the wire.
func (c *comparingServer) mustBeEqual(call string, shortcut, framework any) {
	c.t.Helper()
	a, b := reflect.ValueOf(shortcut).Elem(), reflect.ValueOf(framework).Elem()
	for i := range a.NumField() {
		got, want := a.Field(i).Interface(), b.Field(i).Interface()
		if !c.isSameField(got, want) {
			c.t.Errorf("%s of a %s: the shortcut answers\n%s\nand the framework\n%s",
				a.Type().Field(i).Name, call, formatted(got), formatted(want))
		}
	}
}

func (c *comparingServer) isSameField(got, want any) bool {
	gotState, isState := got.(*tfprotov6.DynamicValue)
	wantState, _ := want.(*tfprotov6.DynamicValue)
	if isState && gotState != nil && wantState != nil {
		// The framework encodes the elements of a map in random order: that is the only
		// difference of two encodings with the same values and the same length.
		return len(gotState.MsgPack) == len(wantState.MsgPack) && len(gotState.JSON) == len(wantState.JSON) &&
			c.hasSameValues(gotState, wantState)
	}
	if a, b := reflect.ValueOf(got), reflect.ValueOf(want); a.Kind() == reflect.Slice && a.Len() == 0 {
		// A message does not tell an empty list from none.
		return b.Len() == 0
	}
	return reflect.DeepEqual(got, want)
}

func (c *comparingServer) hasSameValues(a, b *tfprotov6.DynamicValue) bool {
	var values [2]tftypes.Value
	for i, state := range []*tfprotov6.DynamicValue{a, b} {
		var err error
		if values[i], err = state.Unmarshal(c.shortcut.facts().objectType); err != nil {
			c.t.Errorf("the answer %s: %v", formatted(state), err)
			return false
		}
	}
	return values[0].Equal(values[1])
}

func formatted(field any) string {
	switch value := field.(type) {
	case *tfprotov6.DynamicValue:
		if value != nil {
			return fmt.Sprintf("%q %q", value.MsgPack, value.JSON)
		}
	case *tfprotov6.ResourceIdentityData:
		if value != nil {
			return formatted(value.IdentityData)
		}
	case []byte:
		return string(value)
	case []*tfprotov6.Diagnostic:
		var text string
		for _, d := range value {
			text += d.Summary + ": " + d.Detail + "\n"
		}
		return text
	}
	return fmt.Sprintf("%+v", field)
}
