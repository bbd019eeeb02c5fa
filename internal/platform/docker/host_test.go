// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestPlatformsOfOneSessionShareAConnection(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	var began atomic.Int32
	connection, _ := h.proxyEngine(t, func() bool { began.Add(1); return true })
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
	if n := began.Load(); n != 1 {
		t.Errorf("it took %d connections to the agent", n)
	}

	unlock, err := first.Lock(t.Context(), "first@host (pid 1)")
	h.must(err)
	// It is gone for good, however often it is closed; its lock goes, the other stays.
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
	if n := began.Load(); n != 1 {
		t.Errorf("it took %d connections to the agent", n)
	}
	second.Close()
	last := h.openWith(t, opts)
	if _, err := last.Observe(t.Context()); err != nil || began.Load() != 2 {
		t.Errorf("after all have hung up: %v, %d connections", err, began.Load())
	}
}
