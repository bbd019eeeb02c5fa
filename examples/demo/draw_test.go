// SPDX-License-Identifier: MPL-2.0

package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var midway = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// deploying returns the progress while 2.0.0 is being deployed and 1.0.0 answers.
func deploying() snapshot {
	return snapshot{
		steps: []step{
			{title: "apply 1.0.0", state: succeeded, took: 1900 * time.Millisecond, after: "1.0.0"},
			{title: "apply 2.0.0", state: running, began: midway.Add(-1100 * time.Millisecond)},
			{title: "destroy"},
		},
		environments: map[string]environment{
			"blue":  {State: "checking", Version: "2.0.0"},
			"green": {State: "live", Version: "1.0.0"},
		},
		answering:  answer{Version: "1.0.0", Environment: "green"},
		total:      stats{requests: 12345, slowest: 12 * time.Millisecond},
		hasClients: true,
		at:         midway,
	}
}

func TestDrawsTheProgress(t *testing.T) {
	t.Parallel()
	want := `
  One service, two environments, steady load

  ✓ apply 1.0.0                          1.9 s  1.0.0 answers
  ● apply 2.0.0                          1.1 s
  · destroy

      ╭────── blue ──────╮      ╭───── green ──────╮
      │      2.0.0       │      │      1.0.0       │
      │     checking     │      │       live       │
      ╰──────────────────╯      ╰────────▲─────────╯
                                         │
                            ╭────────────╯
                        8 clients

  answering 1.0.0    requests 12,345    failed 0    slowest 12 ms
`
	if got := plainPicture(deploying()); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// A frame is drawn over the frame before, so all frames need the same number of lines.
func TestAllFramesHaveTheSameHeight(t *testing.T) {
	t.Parallel()
	before := snapshot{steps: deploying().steps, at: midway}
	if got, want := len(draw(before, palette{})), len(draw(deploying(), palette{})); got != want {
		t.Errorf("%d lines before the load and %d under it", got, want)
	}
}

func TestColourDoesNotChangeTheLayout(t *testing.T) {
	t.Parallel()
	plain, coloured := draw(deploying(), palette{plain: true}), draw(deploying(), palette{})
	for i, line := range coloured {
		if got := uncoloured(line); got != plain[i] {
			t.Errorf("line %d:\n%q in colour is\n%q without", i, got, plain[i])
		}
	}
}

func TestTablesAreAligned(t *testing.T) {
	t.Parallel()
	steps := []step{
		{title: "terraform init", state: succeeded, took: 400 * time.Millisecond},
		{title: "apply 2.0.0", state: succeeded, took: 2 * time.Second, before: "1.0.0", after: "2.0.0",
			stats: stats{requests: 1042, slowest: 9 * time.Millisecond}},
		{title: "destroy"},
	}
	want := `  step            seconds  requests  failed  slowest  answering
  ──────────────  ───────  ────────  ──────  ───────  ─────────────
  terraform init      0.4         -       -        -
  apply 2.0.0         2.0     1,042       0     9 ms  1.0.0 → 2.0.0
  all                 2.4     1,042       0     9 ms
`
	if got := resultTable(steps, steps[1].stats); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestHistoryHasOneLineForEachRecord(t *testing.T) {
	t.Parallel()
	const width = 90
	got := historyTable([]record{
		{
			ID: "deploy-2", Environment: "blue", Version: "2.0.0", Status: "failed",
			Reason: "2 of 2 replicas unhealthy: " + strings.Repeat("broken ", 30) + "\nlast lines: …",
		},
		{
			ID: "deploy-1", Environment: "green", Version: "1.0.0", Status: "live",
			SwitchedAt: "2026-01-02T03:04:05.678Z",
		},
	}, width)
	lines := strings.Split(strings.TrimRight(got, "\n"), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines, want headings, a rule and two records:\n%s", len(lines), got)
	}
	if n := utf8.RuneCountInString(lines[2]); n > width || n < width-8 {
		t.Errorf("the table is %d wide in %d columns:\n%s", n, width, got)
	}
	for i, want := range map[int][]string{
		2: {"deploy-2", "failed", "2 of 2 replicas unhealthy"},
		3: {"deploy-1", "live"},
	} {
		for _, cell := range want {
			if !strings.Contains(lines[i], cell) {
				t.Errorf("line %q does not say %q", lines[i], cell)
			}
		}
	}
}

// plainPicture returns the picture without colour as text.
func plainPicture(now snapshot) string {
	var text strings.Builder
	for _, line := range draw(now, palette{plain: true}) {
		text.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// uncoloured removes the colours from a line.
func uncoloured(line string) string {
	var text strings.Builder
	for line != "" {
		before, rest, coloured := strings.Cut(line, "\x1b[")
		text.WriteString(before)
		if !coloured {
			break
		}
		_, line, _ = strings.Cut(rest, "m")
	}
	if !utf8.ValidString(text.String()) {
		return "not UTF-8"
	}
	return text.String()
}
