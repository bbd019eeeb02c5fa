// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	titleWidth = 34
	noteWidth  = 30

	boxWidth = 20
	boxGap   = 6
	// These are the columns of the arrows below the boxes, and the column between them.
	blueArrow  = boxGap + boxWidth/2 - 1
	greenArrow = blueArrow + boxWidth + boxGap
	middle     = (blueArrow + greenArrow) / 2
)

// palette colours text. A plain palette returns the text as it is.
type palette struct{ plain bool }

const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	blue   = "34"
	yellow = "33"
)

// colours maps an environment to its colour while it is live.
var colours = map[string]string{"blue": blue, "green": green}

func (p palette) paint(style, text string) string {
	if p.plain || text == "" {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

// draw returns the picture of the progress as a list of lines.
func draw(now snapshot, p palette) []string {
	lines := []string{"", "  " + p.paint(bold, "One service, two environments, steady load"), ""}
	for _, s := range now.steps {
		lines = append(lines, drawStep(s, now.at, p))
	}
	lines = append(lines, "")
	lines = append(lines, drawEnvironments(now, p)...)
	return append(lines, "", drawClients(now, p), "")
}

func drawStep(s step, at time.Time, p palette) string {
	switch s.state {
	case running:
		took := s.took
		if took == 0 {
			took = at.Sub(s.began)
		}
		title := p.paint(bold, pad(s.title, titleWidth))
		return fmt.Sprintf("  %s %s %7s", p.paint(yellow, "●"), title, seconds(took))
	case succeeded:
		return drawEndedStep(s, p.paint(green, "✓"), p.paint(dim, outcome(s)))
	case failed:
		return drawEndedStep(s, p.paint(red, "✗"), p.paint(red, outcome(s)))
	default:
		return p.paint(dim, "  · "+s.title)
	}
}

func drawEndedStep(s step, mark, outcome string) string {
	return fmt.Sprintf("  %s %s %7s  %s", mark, pad(s.title, titleWidth), seconds(s.took), outcome)
}

// outcome returns a few words about how a step ended.
func outcome(s step) string {
	switch {
	case s.note != "":
		return shorten(s.note, noteWidth)
	case s.after != "" && s.after != s.before:
		return s.after + " answers"
	default:
		return ""
	}
}

// drawEnvironments draws both boxes, and a line from the clients to the environment that
// answers.
func drawEnvironments(now snapshot, p palette) []string {
	var lines []string
	left := drawBox("blue", now.environments["blue"], now.answering, p)
	for i, right := range drawBox("green", now.environments["green"], now.answering, p) {
		lines = append(lines, spaces(boxGap)+left[i]+spaces(boxGap)+right)
	}
	clients := "no clients"
	if now.hasClients {
		clients = fmt.Sprintf("%d clients", keepAliveClients+newConnClients)
	}
	first, second := drawTraffic(now.answering.Environment, p)
	return append(lines, first, second, spaces(middle-utf8.RuneCountInString(clients)/2)+clients)
}

// drawTraffic returns the line from the clients in the middle up to an environment.
func drawTraffic(to string, p palette) (upper, lower string) {
	across := strings.Repeat("─", middle-blueArrow-1)
	switch to {
	case "blue":
		return spaces(blueArrow) + p.paint(blue, "│"), spaces(blueArrow) + p.paint(blue, "╰"+across+"╮")
	case "green":
		return spaces(greenArrow) + p.paint(green, "│"), spaces(middle) + p.paint(green, "╭"+across+"╯")
	default:
		return "", ""
	}
}

func drawBox(name string, e environment, serving answer, p palette) []string {
	style, version, state, foot := dim, e.Version, e.State, "─"
	switch {
	case serving.Environment == name:
		style, version, state, foot = colours[name], serving.Version, "live", "▲"
	case e.Version == "":
		state = "empty"
	case e.State == "idle":
		state = "standby"
	}
	const inner = boxWidth - 2
	side := func(text string) string {
		return p.paint(style, "│"+center(text, inner)+"│")
	}
	edge := func(left, middle, right string) string {
		fill := inner - utf8.RuneCountInString(middle)
		return p.paint(style, left+strings.Repeat("─", fill/2)+middle+strings.Repeat("─", fill-fill/2)+right)
	}
	return []string{edge("╭", " "+name+" ", "╮"), side(version), side(state), edge("╰", foot, "╯")}
}

func drawClients(now snapshot, p palette) string {
	if now.total.requests == 0 {
		return ""
	}
	answering := now.answering.Version
	if answering == "" {
		answering = "nothing"
	}
	failures := fmt.Sprintf("failed %d", now.total.failures)
	if now.total.failures > 0 {
		failures = p.paint(red, failures)
	}
	return fmt.Sprintf("  answering %s    requests %s    %s    slowest %s",
		p.paint(bold, answering), thousands(now.total.requests), failures, milliseconds(now.total.slowest))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func milliseconds(d time.Duration) string {
	return thousands(int(d.Round(time.Millisecond)/time.Millisecond)) + " ms"
}

// thousands formats 12345 as 12,345.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

func pad(text string, width int) string {
	return text + spaces(max(0, width-utf8.RuneCountInString(text)))
}

func center(text string, width int) string {
	room := max(0, width-utf8.RuneCountInString(text))
	return spaces(room/2) + text + spaces(room-room/2)
}

func spaces(n int) string { return strings.Repeat(" ", n) }

func shorten(text string, width int) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	return string(runes[:width-1]) + "…"
}
