// SPDX-License-Identifier: MPL-2.0

package main

import (
	"maps"
	"sync"
	"time"
)

// progress holds what the demo shows: its steps, the two environments and the clients'
// requests. The demo writes it, and a renderer reads it.
type progress struct {
	renderer renderer

	mu           sync.Mutex
	steps        []step
	current      int
	environments map[string]environment
	load         *load
	destroyed    bool
}

// step is the progress of one action.
type step struct {
	title string
	state stepState
	began time.Time
	// took is 0 until the step's clock has stopped.
	took  time.Duration
	note  string
	stats stats
	// before and after are the versions that answered before and after the step.
	before, after string
}

type stepState int

const (
	waiting stepState = iota
	running
	succeeded
	failed
)

// snapshot is the progress at one moment.
type snapshot struct {
	steps        []step
	environments map[string]environment
	answering    answer
	total        stats
	// hasClients says whether clients send requests.
	hasClients bool
	at         time.Time
}

// renderer shows the progress.
type renderer interface {
	// stepBegan and stepEnded are called once for each step.
	stepBegan(s step)
	stepEnded(s step)
	// close restores the terminal. What was shown last stays there.
	close()
}

func newProgress(actions []action) *progress {
	p := &progress{current: -1, environments: map[string]environment{}}
	for _, action := range actions {
		p.steps = append(p.steps, step{title: action.title})
	}
	return p
}

// setLoad shows the requests of the load's clients from now on.
func (p *progress) setLoad(l *load) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.load = l
}

// setEnvironments sets the given environments, and leaves the others as they are.
func (p *progress) setEnvironments(environments map[string]environment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.Copy(p.environments, environments)
}

// setDestroyed shows that nothing is deployed any more, and that there are no clients.
func (p *progress) setDestroyed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.destroyed = true
	p.environments = map[string]environment{}
}

// beginStep starts the next step.
func (p *progress) beginStep() {
	p.mu.Lock()
	p.current++
	s := &p.steps[p.current]
	s.state, s.began = running, time.Now()
	s.before = p.answeringVersion()
	begun := *s
	p.mu.Unlock()
	p.renderer.stepBegan(begun)
}

// stopClock records how long the step took. The requests of its clients still count.
func (p *progress) stopClock() {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.steps[p.current]
	s.took = time.Since(s.began)
}

// endStep ends the step that beginStep started.
func (p *progress) endStep(stats stats, note string, ok bool) {
	p.mu.Lock()
	s := &p.steps[p.current]
	if s.took == 0 {
		s.took = time.Since(s.began)
	}
	s.stats, s.note, s.state = stats, note, succeeded
	if !ok {
		s.state = failed
	}
	s.after = p.answeringVersion()
	ended := *s
	p.mu.Unlock()
	p.renderer.stepEnded(ended)
}

// answeringVersion returns the version that answered the latest request, "" if there are
// no clients. The caller holds the mutex.
func (p *progress) answeringVersion() string {
	if p.load == nil {
		return ""
	}
	latest, _ := p.load.current()
	return latest.Version
}

func (p *progress) snapshot() snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := snapshot{
		steps:        append([]step(nil), p.steps...),
		environments: maps.Clone(p.environments),
		hasClients:   p.load != nil && !p.destroyed,
		at:           time.Now(),
	}
	if p.load != nil {
		now.answering, now.total = p.load.current()
	}
	if p.destroyed {
		now.answering = answer{}
	}
	return now
}
