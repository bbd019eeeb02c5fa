// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestPlatformsOfOneHostShareAConnection(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	var started atomic.Int32
	connection, _ := h.proxyEngine(t, func() bool { started.Add(1); return true })
	opts := h.options(h.name)
	opts.Host = NewHost(connection, h.name)
	first, second := h.openWith(t, opts), h.openWith(t, opts)
	var group sync.WaitGroup
	for _, p := range []*Platform{first, second} {
		group.Go(func() {
			if _, err := p.Observe(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := started.Load(); n != 1 {
		t.Errorf("there were %d connections to the agent, want 1", n)
	}

	unlock, err := first.Lock(t.Context(), "first@host (pid 1)")
	h.must(err)
	// Close may be called twice. It ends the lock of the first platform, and the second
	// keeps its connection.
	first.Close()
	first.Close()
	s.eventually(func() error {
		release, err := second.Lock(t.Context(), "second@host (pid 1)")
		if err == nil {
			release()
		}
		return err
	})
	unlock()
	if n := started.Load(); n != 1 {
		t.Errorf("there were %d connections to the agent, want 1", n)
	}
	second.Close()
	last := h.openWith(t, opts)
	if _, err := last.Observe(t.Context()); err != nil || started.Load() != 2 {
		t.Errorf("after all platforms were closed: %v, %d connections", err, started.Load())
	}
}
