// SPDX-License-Identifier: MPL-2.0

// Package printable makes text from outside safe to show: what a release logs, and what a
// service answers. A terminal acts on some characters. They can clear the screen, set the
// title of the window or turn the direction of the text around.
package printable

import (
	"strings"
	"unicode"

	"github.com/charmbracelet/x/ansi"
)

// Text returns text without the sequences that a terminal acts on, such as colors, and
// without control and format characters. Lines stay lines, and a tab becomes a space. Bytes
// that are not UTF-8 are left out.
func Text(text string) string { return strings.Map(keep, ansi.Strip(text)) }

func keep(r rune) rune {
	switch {
	case r == '\n':
		return r
	case r == '\t':
		return ' '
	case r == unicode.ReplacementChar || !unicode.IsPrint(r):
		return -1
	default:
		return r
	}
}

// Cut returns text if it has at most so many characters. Otherwise it returns that many of
// them, and an ellipsis.
func Cut(text string, characters int) string {
	count := 0
	for i := range text {
		if count == characters {
			return text[:i] + "…"
		}
		count++
	}
	return text
}
