// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// warmUp is how long each target has load before the first measurement.
const warmUp = time.Second

// results are what was measured of a target, one value for each round.
type results struct {
	target

	perSecond []float64
	// cpu is the CPU time of the target's processes for each request, and allCPU that of the
	// target, the replica and wrk together.
	cpu, allCPU []time.Duration
	p50, p99    []time.Duration
	// idleBytes is the memory for each idle client.
	idleBytes int
}

// benchmark starts everything, measures, and prints the results.
func (s settings) benchmark(ctx context.Context) (err error) {
	if _, err := exec.LookPath("wrk"); err != nil {
		return errors.New("wrk is needed; Debian has a package of this name")
	}
	autogroup, restore, err := turnOffAutogroup()
	if err != nil {
		return err
	}
	defer restore()
	// The name is short, because the path of a socket below it has at most 104 bytes.
	dir, err := os.MkdirTemp("", "bg")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Println("building, and deploying with Terraform")
	d, err := deploy(ctx, dir, s.profile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.destroy(ctx)) }()
	targets, err := startOthers(ctx, dir, d.replica.address)
	defer func() {
		for _, t := range targets {
			t.stop()
		}
	}()
	if err != nil {
		return err
	}
	all := []*results{{target: d.router}}
	for _, t := range targets {
		all = append(all, &results{target: t})
	}
	all = append(all, &results{target: d.replica})

	loadBefore := loadAverage()
	rate, err := s.measure(ctx, all)
	if err != nil {
		return err
	}
	if err := s.print(ctx, all, rate, autogroup, loadBefore); err != nil {
		return err
	}
	if s.profile != "" {
		return s.profileRouter(ctx, d.router)
	}
	return nil
}

// startOthers starts all proxies but ours, and says which are missing. The order is that of
// the rounds.
func startOthers(ctx context.Context, dir, replica string) (targets []target, err error) {
	t, err := startBare(ctx, replica)
	if err != nil {
		return nil, err
	}
	targets = append(targets, t)
	for _, p := range proxies {
		t, err := p.start(ctx, dir, replica)
		if errors.Is(err, errMissing) {
			fmt.Printf("without %s: %v\n", p.name, err)
			continue
		}
		if err != nil {
			return targets, err
		}
		targets = append(targets, t)
	}
	return targets, nil
}

// measure measures all targets, and returns the rate of requests at which it has measured
// latencies. The first target is ours, and the last is the replica.
func (s settings) measure(ctx context.Context, all []*results) (rate float64, err error) {
	if err := s.measureMemory(ctx, all); err != nil {
		return 0, err
	}
	fmt.Printf("measuring requests per second: %d rounds\n", s.rounds)
	for _, r := range all {
		if _, err := s.runWrk(ctx, r.address, warmUp); err != nil {
			return 0, fmt.Errorf("%s: %w", r.name, err)
		}
	}
	for range s.rounds {
		for _, r := range all {
			if err := s.measureThroughput(ctx, r, all[len(all)-1].session); err != nil {
				return 0, fmt.Errorf("%s: %w", r.name, err)
			}
		}
	}
	rate = median(all[0].perSecond) / 2
	fmt.Printf("measuring latencies at %.0f requests per second: %d rounds\n", rate, s.rounds)
	for range s.rounds {
		for _, r := range all {
			if err := s.measureLatency(ctx, r, rate); err != nil {
				return 0, fmt.Errorf("%s: %w", r.name, err)
			}
		}
	}
	return rate, nil
}

// measureThroughput measures how much load a target can take. The replica has a session of its
// own.
func (s settings) measureThroughput(ctx context.Context, r *results, replica int) error {
	sessions := []int{r.session}
	if replica != r.session {
		sessions = append(sessions, replica)
	}
	used := make([]time.Duration, len(sessions))
	for i, session := range sessions {
		before, err := cpuTime(session)
		if err != nil {
			return err
		}
		used[i] = -before
	}
	t, err := s.runWrk(ctx, r.address, s.round)
	if err != nil {
		return err
	}
	all := t.cpu
	for i, session := range sessions {
		after, err := cpuTime(session)
		if err != nil {
			return err
		}
		used[i] += after
		all += used[i]
	}
	requests := time.Duration(max(1, t.requests))
	r.perSecond = append(r.perSecond, t.perSecond)
	r.cpu, r.allCPU = append(r.cpu, used[0]/requests), append(r.allCPU, all/requests)
	return nil
}

// measureLatency measures how long answers take when requests come at a fixed rate.
func (s settings) measureLatency(ctx context.Context, r *results, rate float64) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	load := fixedRate{address: r.address, perSecond: rate, connections: s.connections, duration: s.round}
	output, _, err := outputOf(ctx, self, append([]string{"load"}, load.arguments()...)...)
	if err != nil {
		return err
	}
	var l latencies
	if err := json.Unmarshal(output, &l); err != nil {
		return fmt.Errorf("reading the latencies: %w", err)
	}
	r.p50, r.p99 = append(r.p50, l.P50), append(r.p99, l.P99)
	return nil
}
