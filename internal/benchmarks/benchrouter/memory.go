// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"time"
)

// tidyUp is how long a proxy has load before its memory is measured. A proxy that collects
// garbage has then done so.
const tidyUp = 3 * time.Second

// measureMemory measures how much the memory of each proxy grows with its idle clients, each
// of which has had one request answered. The last target is no proxy.
func (s settings) measureMemory(ctx context.Context, all []*results) error {
	fmt.Printf("measuring memory with %d idle clients\n", s.idleClients)
	measured := all[:len(all)-1]
	before, err := s.settledMemory(ctx, measured)
	if err != nil {
		return err
	}
	oldest := map[*results]*connection{}
	for _, r := range measured {
		for i := range s.idleClients {
			c, err := dial(ctx, r.address)
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			defer c.Close()
			if err := c.get(); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			if i == 0 {
				oldest[r] = c
			}
		}
	}
	// A proxy may need a while until it regards a client as idle.
	if err := sleep(ctx, s.settle); err != nil {
		return err
	}
	after, err := s.settledMemory(ctx, measured)
	if err != nil {
		return err
	}
	for i, r := range measured {
		r.idleBytes = (after[i] - before[i]) / s.idleClients
		if err := oldest[r].get(); err != nil {
			return fmt.Errorf("%s has not kept its idle clients: %w", r.name, err)
		}
	}
	return nil
}

// settledMemory returns how many bytes of memory each target has after some load and a pause.
func (s settings) settledMemory(ctx context.Context, all []*results) ([]int, error) {
	for _, r := range all {
		if _, err := s.runWrk(ctx, r.address, tidyUp); err != nil {
			return nil, fmt.Errorf("%s: %w", r.name, err)
		}
	}
	if err := sleep(ctx, s.settle); err != nil {
		return nil, err
	}
	memory := make([]int, len(all))
	for i, r := range all {
		var err error
		if memory[i], err = residentMemory(r.session); err != nil {
			return nil, err
		}
	}
	return memory, nil
}

// sleep returns after d, or when ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
