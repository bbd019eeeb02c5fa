// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// Each model gets the same from fillModel as from the framework, for values that are null and for
// values that are unknown.
func TestModelsAreFilledAsTheFrameworkDoes(t *testing.T) {
	t.Parallel()
	all := deploymentSchema(t.Context())
	for name, model := range map[string]any{
		"":                   deploymentModel{},
		"local":              localModel{},
		"docker":             dockerModel{},
		"kubernetes":         kubernetesModel{},
		"kubernetes/service": kubernetesServiceModel{},
		"health_check":       healthCheckModel{},
		"health_check/http":  httpModel{},
		"health_check/tcp":   tcpModel{},
		"health_check/grpc":  grpcModel{},
		"health_check/exec":  execModel{},
	} {
		kind := nestedType(t, all, name)
		for what, value := range map[string]any{"null": nil, "unknown": tftypes.UnknownValue} {
			object := objectOf(t, kind, value)
			want, got := reflect.New(reflect.TypeOf(model)), reflect.New(reflect.TypeOf(model))
			if diags := object.As(t.Context(), want.Interface(), basetypes.ObjectAsOptions{}); diags.HasError() {
				t.Fatalf("%q: %v", name, diags)
			}
			if err := fillModel(got.Interface(), object.Attributes()); err != nil {
				t.Errorf("%q: %v", name, err)
			}
			if !reflect.DeepEqual(got.Interface(), want.Interface()) {
				t.Errorf("%q, %s: it is %v, want %v", name, what, got, want)
			}
		}
	}
}

// nestedType returns the type of the block at path, "" for all of the schema.
func nestedType(t *testing.T, all schema.Schema, path string) attr.TypeWithAttributeTypes {
	t.Helper()
	kind := all.Type()
	for _, name := range strings.FieldsFunc(path, func(r rune) bool { return r == '/' }) {
		parent, isObject := kind.(attr.TypeWithAttributeTypes)
		if !isObject {
			t.Fatalf("%s has no attributes", path)
		}
		kind = parent.AttributeTypes()[name]
	}
	object, isObject := kind.(attr.TypeWithAttributeTypes)
	if !isObject {
		t.Fatalf("%s is a %v", path, kind)
	}
	return object
}

// objectOf returns an object of this type whose attributes all have this value.
func objectOf(t *testing.T, kind attr.TypeWithAttributeTypes, value any) types.Object {
	t.Helper()
	attributes := map[string]tftypes.Value{}
	for name, attribute := range kind.AttributeTypes() {
		attributes[name] = tftypes.NewValue(attribute.TerraformType(t.Context()), value)
	}
	made, err := kind.ValueFromTerraform(t.Context(), tftypes.NewValue(kind.TerraformType(t.Context()), attributes))
	object, isObject := made.(types.Object)
	if err != nil || !isObject {
		t.Fatalf("%v, %v", made, err)
	}
	return object
}
