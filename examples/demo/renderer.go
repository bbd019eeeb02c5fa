// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	frameInterval = 100 * time.Millisecond

	// Line wrapping is off. A narrow terminal then cuts the lines, and the number of
	// lines to move up stays right.
	enterPicture = "\x1b[?25l\x1b[?7l"
	leavePicture = "\x1b[?7h\x1b[?25h"
	clearLine    = "\x1b[K"
)

// newRenderer returns a renderer that draws a moving picture if out is a terminal. For
// any other file it returns one that writes a line for every event.
func newRenderer(out *os.File, p *progress) renderer {
	if isTerminal(out) {
		return newPictureRenderer(out, p, palette{plain: os.Getenv("NO_COLOR") != ""})
	}
	return newLineRenderer(out)
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	term := os.Getenv("TERM")
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && term != "" && term != "dumb"
}

// pictureRenderer draws the progress again and again at the same place.
type pictureRenderer struct {
	out      io.Writer
	progress *progress
	palette  palette
	stop     chan struct{}
	stopped  sync.WaitGroup
	height   int
}

func newPictureRenderer(out io.Writer, progress *progress, palette palette) *pictureRenderer {
	r := &pictureRenderer{out: out, progress: progress, palette: palette, stop: make(chan struct{})}
	write(out, enterPicture)
	r.stopped.Go(r.drawFrames)
	return r
}

func (r *pictureRenderer) stepBegan(step) {}
func (r *pictureRenderer) stepEnded(step) {}

func (r *pictureRenderer) close() {
	close(r.stop)
	r.stopped.Wait()
	r.drawFrame()
	write(r.out, leavePicture)
}

func (r *pictureRenderer) drawFrames() {
	tick := time.NewTicker(frameInterval)
	defer tick.Stop()
	for {
		r.drawFrame()
		select {
		case <-tick.C:
		case <-r.stop:
			return
		}
	}
}

// drawFrame draws over the frame before. It writes once, so that the picture does not
// flicker.
func (r *pictureRenderer) drawFrame() {
	var frame strings.Builder
	if r.height > 0 {
		fmt.Fprintf(&frame, "\x1b[%dA", r.height)
	}
	lines := draw(r.progress.snapshot(), r.palette)
	for _, line := range lines {
		frame.WriteString("\r" + line + clearLine + "\n")
	}
	r.height = len(lines)
	write(r.out, frame.String())
}

// lineRenderer writes one line for every event.
type lineRenderer struct {
	out io.Writer
}

func newLineRenderer(out io.Writer) *lineRenderer { return &lineRenderer{out: out} }

func (r *lineRenderer) close() {}

func (r *lineRenderer) stepBegan(s step) { write(r.out, s.title+" ...\n") }

func (r *lineRenderer) stepEnded(s step) {
	word := "done"
	if s.state == failed {
		word = "FAILED"
	}
	line := fmt.Sprintf("%s: %s in %s", s.title, word, seconds(s.took))
	if s.note != "" {
		line += "; " + s.note
	}
	if s.stats.requests > 0 {
		line += fmt.Sprintf("; %s answers; %s requests, %d failed, slowest %s", s.after,
			thousands(s.stats.requests), s.stats.failures, milliseconds(s.stats.slowest))
	}
	write(r.out, line+"\n")
}

// write shows text. It ignores errors: if nothing reads the output any more, the demo
// still runs to its end, and to its exit status.
func write(out io.Writer, text string) { _, _ = io.WriteString(out, text) }
