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
	framesEvery = 100 * time.Millisecond

	// Without line wrapping a narrow terminal cuts the picture, and the number
	// of lines to go back up stays right.
	enterPicture = "\x1b[?25l\x1b[?7l"
	leavePicture = "\x1b[?7h\x1b[?25h"
	clearLine    = "\x1b[K"
)

// newScreen is a picture that moves where out is a terminal, and otherwise one
// line for every event.
func newScreen(out *os.File, b *board) screen {
	if isTerminal(out) {
		return newPicture(out, b, palette{plain: os.Getenv("NO_COLOR") != ""})
	}
	return newLog(out)
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	term := os.Getenv("TERM")
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && term != "" && term != "dumb"
}

// picture redraws the board in place.
type picture struct {
	out     io.Writer
	board   *board
	palette palette
	stop    chan struct{}
	stopped sync.WaitGroup
	height  int
}

func newPicture(out io.Writer, b *board, p palette) *picture {
	s := &picture{out: out, board: b, palette: p, stop: make(chan struct{})}
	write(out, enterPicture)
	s.stopped.Go(s.play)
	return s
}

func (s *picture) began(step) {}
func (s *picture) ended(step) {}

func (s *picture) close() {
	close(s.stop)
	s.stopped.Wait()
	s.frame()
	write(s.out, leavePicture)
}

func (s *picture) play() {
	tick := time.NewTicker(framesEvery)
	defer tick.Stop()
	for {
		s.frame()
		select {
		case <-tick.C:
		case <-s.stop:
			return
		}
	}
}

// frame draws over the frame before in one write, so that nothing flickers.
func (s *picture) frame() {
	var frame strings.Builder
	if s.height > 0 {
		fmt.Fprintf(&frame, "\x1b[%dA", s.height)
	}
	lines := draw(s.board.view(), s.palette)
	for _, line := range lines {
		frame.WriteString("\r" + line + clearLine + "\n")
	}
	s.height = len(lines)
	write(s.out, frame.String())
}

// log writes one line for every event.
type log struct {
	out io.Writer
}

func newLog(out io.Writer) *log { return &log{out: out} }

func (s *log) close() {}

func (s *log) began(begun step) { write(s.out, begun.title+" ...\n") }

func (s *log) ended(ended step) {
	word := "done"
	if ended.state == failed {
		word = "FAILED"
	}
	line := fmt.Sprintf("%s: %s in %s", ended.title, word, seconds(ended.took))
	if ended.note != "" {
		line += "; " + ended.note
	}
	if ended.tally.requests > 0 {
		line += fmt.Sprintf("; %s answers; %s requests, %d failed, slowest %s", ended.after,
			thousands(ended.tally.requests), ended.tally.failures, milliseconds(ended.tally.slowest))
	}
	write(s.out, line+"\n")
}

// write shows text. Where nobody reads any more the demo plays on, to its exit status.
func write(out io.Writer, text string) { _, _ = io.WriteString(out, text) }
