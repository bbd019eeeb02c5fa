// SPDX-License-Identifier: MPL-2.0

package process

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"
)

// errLetGo is returned once another program supervises the processes.
var errLetGo = errors.New("another agent supervises the replicas now")

// duty says which of two programs supervises the processes while one takes over from the other.
// The one that supervises them starts them, restarts them and reads their output. There is never
// more than one, so that no process is started twice and no output has two readers.
type duty struct {
	// starts is locked while no process may be started.
	starts sync.RWMutex
	// begun is closed once this program supervises.
	begun chan struct{}
	// over ends when this program has let go.
	over  context.Context
	letGo context.CancelFunc
	// readers are those of the outputs.
	readers sync.WaitGroup
}

// newDuty returns the duty of a program that supervises.
func newDuty() *duty {
	d := &duty{begun: make(chan struct{})}
	close(d.begun)
	d.over, d.letGo = context.WithCancel(context.Background())
	return d
}

// AwaitPredecessor makes the manager wait until begin is called: until then another agent starts
// the processes and reads their output. Processes are adopted nevertheless. Call it before
// anything else.
func (m *Manager) AwaitPredecessor() (begin func()) {
	d := m.duty
	d.starts.Lock()
	d.begun = make(chan struct{})
	return func() {
		m.ports.claimAll()
		close(d.begun)
		d.starts.Unlock()
	}
}

// Hold keeps the manager from starting processes, until resume or LetGo is called. It returns
// once none is being started.
func (m *Manager) Hold() (resume func()) {
	m.duty.starts.Lock()
	return m.duty.starts.Unlock
}

// LetGo ends the supervision for good, for another agent that adopts the processes. They run on.
// It returns once their output is not read any more. Hold comes before it.
func (m *Manager) LetGo() {
	m.duty.letGo()
	m.ports.giveUpClaims()
	m.duty.readers.Wait()
	m.duty.starts.Unlock()
}

// HasLetGo reports whether another program supervises the processes now.
func (m *Manager) HasLetGo() bool { return m.duty.isOver() }

// isOver reports whether this program has let go.
func (d *duty) isOver() bool { return d.over.Err() != nil }

// read calls read, which reads from output, once this program supervises. If it lets go, output
// is closed, and what is still in the pipe is left for the next reader.
func (d *duty) read(output *os.File, read func()) {
	select {
	case <-d.begun:
	case <-d.over.Done():
		output.Close()
		return
	}
	// A read that has begun ends with what it has got, so that nothing is lost.
	defer context.AfterFunc(d.over, func() { _ = output.SetReadDeadline(time.Now()) })()
	read()
}
