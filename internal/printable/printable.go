// SPDX-License-Identifier: MPL-2.0

// Package printable makes text from outside safe to show: what a release logs, and what a
// service answers. A terminal acts on some characters. They can clear the screen, set the
// title of the window or turn the direction of the text around.
package printable

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi/parser"
)

// Text returns text without the sequences that a terminal acts on, such as colors, and
// without control and format characters. Lines stay lines, and a tab becomes a space. Bytes
// that are not UTF-8 are left out.
func Text(text string) string { return strings.Map(keep, strip(text)) }

// strip leaves out the sequences of text. The library has a function for that too, in a package
// that takes every process 24 ms to initialize.
func strip(text string) string {
	var plain strings.Builder
	state := parser.GroundState
	for i := 0; i < len(text); {
		if _, size := utf8.DecodeRuneInString(text[i:]); state == parser.GroundState && size > 1 {
			plain.WriteString(text[i : i+size])
			i += size
			continue
		}
		next, action := parser.Table.Transition(state, text[i])
		if next == parser.Utf8State {
			// A character breaks a sequence off. What is no character is left out.
			if state == parser.GroundState {
				i++
			}
			state = parser.GroundState
			continue
		}
		if action == parser.PrintAction || action == parser.ExecuteAction {
			plain.WriteByte(text[i])
		}
		state = next
		i++
	}
	return plain.String()
}

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
