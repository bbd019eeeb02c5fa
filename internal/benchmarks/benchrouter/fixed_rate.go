// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"
	"time"
)

const (
	// loadMemory is the size of the heap at which the load generator collects garbage. A
	// collection would delay requests, and a round needs less than this.
	loadMemory = 512 << 20
	// lateAnswers is how long answers may take after the last request.
	lateAnswers = 30 * time.Second
)

// fixedRate is a load of requests that come at a fixed rate, whether earlier ones have been
// answered or not.
type fixedRate struct {
	address     string
	perSecond   float64
	connections int
	duration    time.Duration
}

// latencies is how long answers took, from when a request was due until all of its answer was
// there. A request that has to wait for a connection is late, and the wait counts.
type latencies struct {
	Requests int
	P50, P99 time.Duration
}

// printLoad sends the load that the arguments describe, and prints its latencies as JSON.
func printLoad(ctx context.Context, arguments []string) error {
	var l fixedRate
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.StringVar(&l.address, "address", "", "host:port")
	flags.Float64Var(&l.perSecond, "rate", 0, "requests per second")
	flags.IntVar(&l.connections, "connections", 1, "how many connections the requests come from")
	flags.DurationVar(&l.duration, "duration", time.Second, "how long")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(loadMemory)
	// One more than there are processors, for the thread that keeps the time.
	runtime.GOMAXPROCS(runtime.NumCPU() + 1)
	measured, err := l.send(ctx)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(measured)
}

// arguments are those that printLoad understands.
func (l fixedRate) arguments() []string {
	return []string{
		"-address", l.address, "-rate", fmt.Sprint(l.perSecond),
		"-connections", fmt.Sprint(l.connections), "-duration", l.duration.String(),
	}
}

// send sends the requests and returns when all are answered, or when one has failed.
func (l fixedRate) send(ctx context.Context) (latencies, error) {
	total := int(l.perSecond * l.duration.Seconds())
	if total < 1 || l.connections < 1 {
		return latencies{}, errors.New("a load needs at least one request and one connection")
	}
	ctx, cancel := context.WithTimeout(ctx, l.duration+lateAnswers)
	defer cancel()
	// It has room for all, so that slow answers never delay when the next request is due.
	due := make(chan time.Time, total)
	took := make([][]time.Duration, l.connections)
	failed := make(chan error, l.connections)
	for i := range l.connections {
		go func() {
			var err error
			took[i], err = l.sendDue(ctx, due)
			failed <- err
		}()
	}
	keepTime(ctx, due, total, time.Duration(float64(time.Second)/l.perSecond))
	var err error
	for range l.connections {
		err = errors.Join(err, <-failed)
	}
	all := slices.Concat(took...)
	if err == nil && len(all) != total {
		err = fmt.Errorf("%d of %d requests were not answered: %w", total-len(all), total, context.Cause(ctx))
	}
	if err != nil {
		return latencies{}, fmt.Errorf("sending requests to %s: %w", l.address, err)
	}
	slices.Sort(all)
	return latencies{Requests: total, P50: percentile(all, 50), P99: percentile(all, 99)}, nil
}

// keepTime says when each request is due, and closes the channel after the last. It sleeps in
// the kernel, because the timers of the runtime are up to a millisecond late.
func keepTime(ctx context.Context, due chan<- time.Time, total int, interval time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(due)
	begin := time.Now()
	for i := range total {
		next := begin.Add(time.Duration(i) * interval)
		for wait := time.Until(next); wait > 0; wait = time.Until(next) {
			sleep := syscall.NsecToTimespec(int64(wait))
			// A signal ends the sleep early.
			_ = syscall.Nanosleep(&sleep, nil)
		}
		if ctx.Err() != nil {
			return
		}
		due <- next
	}
}

// sendDue sends requests that are due over one connection.
func (l fixedRate) sendDue(ctx context.Context, due <-chan time.Time) (took []time.Duration, err error) {
	c, err := dial(ctx, l.address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for at := range due {
		if err := c.get(); err != nil {
			return nil, err
		}
		took = append(took, time.Since(at))
	}
	return took, nil
}

// percentile returns a percentile of sorted durations.
func percentile(sorted []time.Duration, percent int) time.Duration {
	return sorted[(len(sorted)-1)*percent/100]
}

// connection is a connection of a client that keeps it.
type connection struct {
	net.Conn

	request []byte
	answers *bufio.Reader
}

// dial connects to address. The connection ends with the deadline of ctx.
func dial(ctx context.Context, address string) (*connection, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			conn.Close()
			return nil, err
		}
	}
	request := fmt.Appendf(nil, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", address)
	return &connection{Conn: conn, request: request, answers: bufio.NewReader(conn)}, nil
}

// get sends a request and reads its answer, which must be a 200 that keeps the connection.
func (c *connection) get() error {
	if _, err := c.Write(c.request); err != nil {
		return err
	}
	answer, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK || answer.Close {
		return fmt.Errorf("the answer is %s, Connection: %s", answer.Status, answer.Header.Get("Connection"))
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}
