// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
)

// Every attribute has a description, and every description is one of an attribute.
func TestDescriptions(t *testing.T) {
	t.Parallel()
	var providers provider.SchemaResponse
	(&bluegreenProvider{}).Schema(t.Context(), provider.SchemaRequest{}, &providers)
	var dataSource, listing datasource.SchemaResponse
	(&deploymentDataSource{}).Schema(t.Context(), datasource.SchemaRequest{}, &dataSource)
	(&deploymentsDataSource{}).Schema(t.Context(), datasource.SchemaRequest{}, &listing)
	found := map[string]bool{}
	for name, schema := range map[string]any{
		"resource": deploymentSchema(t.Context()), "provider": providers.Schema, "data source": dataSource.Schema,
		"list": listing.Schema,
	} {
		collectDescriptions(t, name, reflect.ValueOf(schema), found)
	}
	all := strings.Join(slices.Collect(maps.Keys(found)), "\n")
	for heading, text := range descriptions() {
		if !strings.Contains(all, text) {
			t.Errorf("%s is a description of nothing", heading)
		}
	}
}

// collectDescriptions adds the descriptions of a schema or an attribute and of those
// below it to found.
func collectDescriptions(t *testing.T, name string, v reflect.Value, found map[string]bool) {
	t.Helper()
	if nested := v.FieldByName("NestedObject"); nested.IsValid() {
		collectAttributes(t, name, nested.FieldByName("Attributes"), found)
	}
	collectAttributes(t, name, v.FieldByName("Attributes"), found)
	// The timeouts have plain descriptions.
	text := v.FieldByName("MarkdownDescription").String() + v.FieldByName("Description").String()
	if text == "" {
		t.Errorf("%s has no description", name)
	}
	found[text] = true
}

func collectAttributes(t *testing.T, name string, attributes reflect.Value, found map[string]bool) {
	t.Helper()
	if !attributes.IsValid() {
		return
	}
	for attribute := attributes.MapRange(); attribute.Next(); {
		collectDescriptions(t, name+"."+attribute.Key().String(), attribute.Value().Elem(), found)
	}
}
