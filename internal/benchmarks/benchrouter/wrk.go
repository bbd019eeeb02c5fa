// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// throughput is what wrk has measured.
type throughput struct {
	requests int
	// perSecond is the rate of the requests that were answered.
	perSecond float64
	// cpu is the CPU time that wrk itself has used.
	cpu time.Duration
}

var (
	wrkRequests  = regexp.MustCompile(`(?m)^\s*(\d+) requests in `)
	wrkPerSecond = regexp.MustCompile(`(?m)^Requests/sec:\s*([\d.]+)`)
	wrkFailures  = regexp.MustCompile(`(?m)^\s*(Socket errors: .*|Non-2xx or 3xx responses: .*)$`)
)

// runWrk sends as many requests to address as are answered, for a round.
func (s settings) runWrk(ctx context.Context, address string, round time.Duration) (throughput, error) {
	threads, seconds := min(2, s.connections), int(round.Seconds())
	output, cpu, err := outputOf(ctx, "wrk", "-t", strconv.Itoa(threads), "-c", strconv.Itoa(s.connections),
		"-d", strconv.Itoa(seconds)+"s", "http://"+address+"/")
	if err != nil {
		return throughput{}, err
	}
	measured, err := parseWrk(string(output))
	measured.cpu = cpu
	return measured, err
}

// parseWrk reads the output of wrk. A request that failed is an error.
func parseWrk(output string) (t throughput, err error) {
	if failures := wrkFailures.FindStringSubmatch(output); failures != nil {
		return t, fmt.Errorf("requests have failed: %s", failures[1])
	}
	requests, perSecond := wrkRequests.FindStringSubmatch(output), wrkPerSecond.FindStringSubmatch(output)
	if requests == nil || perSecond == nil {
		return t, fmt.Errorf("wrk has written something else than a result:\n%s", output)
	}
	if t.requests, err = strconv.Atoi(requests[1]); err != nil {
		return t, err
	}
	t.perSecond, err = strconv.ParseFloat(perSecond[1], 64)
	return t, err
}
