// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"reflect"
	"sync"

	"github.com/hashicorp/terraform-plugin-framework/attr"
)

// fillModel sets each field of a model, a pointer to a struct, to the attribute that the field's
// tag names. It does what Get and As of the framework do for a model whose fields are attribute
// values, in much less time: those match each tag with a regular expression that they compile anew.
func fillModel(model any, attributes map[string]attr.Value) error {
	target := reflect.ValueOf(model).Elem()
	for _, field := range fieldsOf(target.Type()) {
		value := reflect.ValueOf(attributes[field.attribute])
		if !value.IsValid() || !value.Type().AssignableTo(field.kind) {
			return fmt.Errorf("%s is no %s but %T", field.attribute, field.kind, attributes[field.attribute])
		}
		target.FieldByIndex(field.index).Set(value)
	}
	return nil
}

// modelField is a field of a model and its attribute.
type modelField struct {
	attribute string
	index     []int
	kind      reflect.Type
}

// modelFields has the fields of each model that was filled, by its type.
var modelFields sync.Map

func fieldsOf(model reflect.Type) []modelField {
	if known, ok := modelFields.Load(model); ok {
		fields, _ := known.([]modelField)
		return fields
	}
	var fields []modelField
	for _, field := range reflect.VisibleFields(model) {
		if attribute := field.Tag.Get("tfsdk"); attribute != "" {
			fields = append(fields, modelField{attribute, field.Index, field.Type})
		}
	}
	modelFields.Store(model, fields)
	return fields
}
