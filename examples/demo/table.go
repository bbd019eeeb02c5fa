// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// historyTable returns the deployment's history as a table of at most width columns, the newest
// record first. It shortens the reasons to that.
func historyTable(history []record, width int) string {
	columns := []column{
		{heading: "history"}, {heading: "environment"}, {heading: "version"},
		{heading: "status"}, {heading: "switched"},
	}
	var rows [][]string
	for _, r := range history {
		rows = append(rows, []string{r.ID, r.Environment, r.Version, r.Status, clock(r.SwitchedAt)})
	}
	room := width - len(columnGap)
	for _, taken := range columnWidths(columns, rows) {
		room -= taken + len(columnGap)
	}
	for i, r := range history {
		rows[i] = append(rows[i], shorten(firstLine(r.Reason), max(room, leastReason)))
	}
	return table(append(columns, column{heading: "why"}), rows)
}

// leastReason is what is shown of a reason at least, even if the table gets too wide.
const leastReason = 20

// otherWidth is the width of what is no terminal.
const otherWidth = 120

// widthOf returns how many columns a terminal has.
func widthOf(out *os.File) int {
	width, _, err := term.GetSize(int(out.Fd()))
	if err != nil || width <= 0 {
		return otherWidth
	}
	return width
}

// resultTable returns the duration and the requests of every step as a table.
func resultTable(steps []step, total stats) string {
	var rows [][]string
	var took time.Duration
	for _, s := range steps {
		if s.state != waiting {
			took += s.took
			rows = append(rows, resultRow(s.title, s.took, s.stats, change(s)))
		}
	}
	rows = append(rows, resultRow("all", took, total, ""))
	return table([]column{
		{heading: "step"}, {"seconds", true}, {"requests", true},
		{"failed", true}, {"slowest", true}, {heading: "answering"},
	}, rows)
}

func resultRow(title string, took time.Duration, t stats, answering string) []string {
	row := []string{title, fmt.Sprintf("%.1f", took.Seconds()), "-", "-", "-", answering}
	if t.requests > 0 {
		row[2], row[3], row[4] = thousands(t.requests), thousands(t.failures), milliseconds(t.slowest)
	}
	return row
}

// change returns the versions that answered before and after a step.
func change(s step) string {
	switch {
	case s.after == "" || s.stats.requests == 0:
		return ""
	case s.before == s.after:
		return s.after
	case s.before == "":
		return "→ " + s.after
	default:
		return s.before + " → " + s.after
	}
}

// clock returns the time of day of a timestamp, or "-" if there is no timestamp.
func clock(timestamp string) string {
	at, err := time.Parse(time.RFC3339Nano, timestamp)
	if err != nil {
		return "-"
	}
	return at.Local().Format(time.TimeOnly)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// column is a heading and the alignment of the cells below it.
type column struct {
	heading string
	right   bool
}

// columnGap is what is before each column.
const columnGap = "  "

// columnWidths returns how wide each column has to be.
func columnWidths(columns []column, rows [][]string) []int {
	widths := make([]int, len(columns))
	for i, c := range columns {
		widths[i] = utf8.RuneCountInString(c.heading)
		for _, row := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	return widths
}

// table formats rows of cells below their headings.
func table(columns []column, rows [][]string) string {
	heads, rules := make([]string, len(columns)), make([]string, len(columns))
	widths := columnWidths(columns, rows)
	for i, c := range columns {
		heads[i], rules[i] = c.heading, strings.Repeat("─", widths[i])
	}
	var text strings.Builder
	for _, row := range slices.Concat([][]string{heads, rules}, rows) {
		var line strings.Builder
		for i, cell := range row {
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if columns[i].right {
				line.WriteString(columnGap + space + cell)
			} else {
				line.WriteString(columnGap + cell + space)
			}
		}
		text.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return text.String()
}
