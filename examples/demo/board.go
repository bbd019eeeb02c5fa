// SPDX-License-Identifier: MPL-2.0

package main

import (
	"maps"
	"sync"
	"time"
)

// board is what the audience is shown: the steps, the two environments and the
// clients. The play writes on it, a screen reads it.
type board struct {
	screen screen

	mu           sync.Mutex
	steps        []step
	current      int
	environments map[string]environment
	load         *load
	cleared      bool
}

// step is one act on the board.
type step struct {
	title string
	state stepState
	began time.Time
	// took is 0 until the step's clock has stopped.
	took   time.Duration
	note   string
	tally  tally
	before string
	after  string
}

type stepState int

const (
	waiting stepState = iota
	running
	succeeded
	failed
)

// view is the board at one moment.
type view struct {
	steps        []step
	environments map[string]environment
	answering    answer
	total        tally
	// loaded says whether clients are there.
	loaded bool
	at     time.Time
}

// screen shows what happens on the board.
type screen interface {
	// began and ended are told about one step each.
	began(s step)
	ended(s step)
	// close leaves the terminal as it was, with the last picture on it.
	close()
}

func newBoard(acts []act) *board {
	b := &board{current: -1, environments: map[string]environment{}}
	for _, act := range acts {
		b.steps = append(b.steps, step{title: act.title})
	}
	return b
}

// follow shows what the load's clients see from now on.
func (b *board) follow(l *load) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.load = l
}

// place says what is in the environments; those not named stay as they are.
func (b *board) place(environments map[string]environment) {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.Copy(b.environments, environments)
}

// clear says that nothing is deployed any more, and that the clients have left.
func (b *board) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cleared = true
	b.environments = map[string]environment{}
}

// begin starts the next step.
func (b *board) begin(title string) {
	b.mu.Lock()
	b.current++
	s := &b.steps[b.current]
	s.title, s.state, s.began = title, running, time.Now()
	if b.load != nil {
		now, _ := b.load.now()
		s.before = now.Version
	}
	begun := *s
	b.mu.Unlock()
	b.screen.began(begun)
}

// stopClock says that the step's work is done, though the clients are watched a while longer.
func (b *board) stopClock() {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &b.steps[b.current]
	s.took = time.Since(s.began)
}

// end closes the step that begin started.
func (b *board) end(t tally, note string, ok bool) {
	b.mu.Lock()
	s := &b.steps[b.current]
	if s.took == 0 {
		s.took = time.Since(s.began)
	}
	s.tally, s.note, s.state = t, note, succeeded
	if !ok {
		s.state = failed
	}
	if b.load != nil {
		now, _ := b.load.now()
		s.after = now.Version
	}
	ended := *s
	b.mu.Unlock()
	b.screen.ended(ended)
}

func (b *board) view() view {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := view{
		steps:        append([]step(nil), b.steps...),
		environments: maps.Clone(b.environments),
		loaded:       b.load != nil && !b.cleared,
		at:           time.Now(),
	}
	if b.load != nil {
		v.answering, v.total = b.load.now()
	}
	if b.cleared {
		v.answering = answer{}
	}
	return v
}
