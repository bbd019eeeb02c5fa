// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/printable"
)

// attributeError returns an error on an attribute whose detail names the attribute.
// Terraform shows the line of an attribute only if it is not nested.
func attributeError(attribute path.Path, summary, problem string) diag.Diagnostic {
	return diag.NewAttributeErrorDiagnostic(attribute, summary,
		fmt.Sprintf("Attribute %s %s.", attribute, strings.TrimSuffix(problem, ".")))
}

// openError reports a platform that cannot be used with its configuration.
func openError(where location, err error) diag.Diagnostic {
	return diag.NewErrorDiagnostic(fmt.Sprintf("The platform %q cannot be used", where.kind()), sentence(err))
}

// asWarnings lowers errors to warnings.
func asWarnings(diags diag.Diagnostics) diag.Diagnostics {
	var lowered diag.Diagnostics
	for _, d := range diags {
		lowered.Append(asWarning(d, ""))
	}
	return lowered
}

// asWarning returns d as a warning, with more at the end of its text.
func asWarning(d diag.Diagnostic, more string) diag.Diagnostic {
	if at, ok := d.(diag.DiagnosticWithPath); ok {
		return diag.NewAttributeWarningDiagnostic(at.Path(), d.Summary(), d.Detail()+more)
	}
	return diag.NewWarningDiagnostic(d.Summary(), d.Detail()+more)
}

// kindsInWords replaces the kinds of the engine's errors, and the errors of a context,
// in the text of an error.
var kindsInWords = strings.NewReplacer(
	": Interrupted: context canceled", ": interrupted",
	": Timeout: context deadline exceeded", ": out of time",
	": EnvironmentBusy: ", ": the deployment is busy: ",
	": DeployFailed: ", ": the release could not be started: ",
	": HealthCheckFailed: ", ": the release is not healthy: ",
	": SwitchFailed: ", ": traffic could not be switched: ",
	": RollbackFailed: ", ": the rollback failed: ",
	": InvalidState: ", ": not possible in this state: ",
	": Interrupted: ", ": interrupted: ",
	": Timeout: ", ": out of time: ",
	"context canceled", "interrupted",
	"context deadline exceeded", "out of time",
)

// inWords returns the text of an error for users. It may quote somebody else.
func inWords(err error) string {
	return kindsInWords.Replace(strings.TrimSpace(printable.Text(err.Error())))
}

// sentence makes the text of an error a sentence, with a capital and a full stop.
func sentence(err error) string {
	text := inWords(err)
	first, size := utf8.DecodeRuneInString(text)
	text = string(unicode.ToUpper(first)) + text[size:]
	if strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}

// paragraphs joins the parts that are not empty.
func paragraphs(parts ...string) string {
	var filled []string
	for _, part := range parts {
		if part != "" {
			filled = append(filled, part)
		}
	}
	return strings.Join(filled, "\n\n")
}
