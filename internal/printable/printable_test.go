// SPDX-License-Identifier: MPL-2.0

package printable_test

import (
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/printable"
)

func TestTextLeavesOutWhatATerminalActsOn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"plain":                   {"listening on :80", "listening on :80"},
		"other scripts":           {"größer als 見 🙂", "größer als 見 🙂"},
		"lines":                   {"one\r\ntwo\n", "one\ntwo\n"},
		"tab":                     {"level\tinfo", "level info"},
		"colors":                  {"\x1b[1;31merror\x1b[0m: no", "error: no"},
		"clears the screen":       {"\x1b[2J\x1b[Hgone", "gone"},
		"title, ends with BEL":    {"\x1b]0;owned\x07text", "text"},
		"title, ends with ST":     {"\x1b]0;owned\x1b\\text", "text"},
		"link":                    {"\x1b]8;;http://evil\x1b\\here\x1b]8;;\x1b\\", "here"},
		"device control":          {"\x1bP$q\"p\x1b\\text", "text"},
		"one byte for ESC [":      {"\u009b2Jtext", "2Jtext"},
		"bell and backspace":      {"good\x07\x08\x08bad", "goodbad"},
		"turns the text around":   {"user\u202etxt.exe", "usertxt.exe"},
		"sequence without end":    {"text\x1b[", "text"},
		"title without end":       {"text\x1b]0;owned", "text"},
		"not UTF-8":               {"a\xffb\xc3", "ab"},
		"NUL":                     {"a\x00b", "ab"},
		"character in a sequence": {"\x1b[3ü1m", "ü1m"},
		"character in a title":    {"\x1b]0;größe\x07text", "text"},
		"half a character":        {"\x1b[\xc3", ""},
		"sequence in a sequence":  {"\x1b[\x1b[31mred", "red"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := printable.Text(c.text); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestCutCountsCharacters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"", ""}, {"größe", "größe"}, {"größer", "größe…"}, {"見見見見見見", "見見見見見…"},
	} {
		if got := printable.Cut(c.text, 5); got != c.want {
			t.Errorf("%q becomes %q, want %q", c.text, got, c.want)
		}
	}
}
