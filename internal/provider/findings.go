// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"github.com/hashicorp/terraform-plugin-framework/diag"
)

// findings are what a plan finds wrong with a configuration.
type findings struct {
	// refused is what no apply can do.
	refused diag.Diagnostics
	// obstacles are what an apply would fail at now, such as an address that is in use. They may
	// be gone when it begins.
	obstacles diag.Diagnostics
}

// forUpdate reports all findings as they are.
func (f findings) forUpdate() diag.Diagnostics { return append(f.refused, f.obstacles...) }

// forCreate reports obstacles as warnings. Terraform plans a create again while it applies.
// With create_before_destroy it has set the former deployment aside by then, and after an error
// of that plan it never takes it back. It does so after an error of the create itself.
func (f findings) forCreate() diag.Diagnostics {
	return append(f.refused, ifTheyLast(f.obstacles)...)
}

// ifTheyLast lowers errors to warnings that say what comes of them.
func ifTheyLast(obstacles diag.Diagnostics) diag.Diagnostics {
	var lowered diag.Diagnostics
	for _, d := range obstacles {
		if d.Severity() == diag.SeverityError {
			d = asWarning(d, " The apply fails if this is still so when it begins.")
		}
		lowered.Append(d)
	}
	return lowered
}
