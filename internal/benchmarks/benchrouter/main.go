// SPDX-License-Identifier: MPL-2.0

//go:build linux

// Benchrouter compares the router with other proxies in front of the same replica, all as
// processes of their own on this machine. `make bench-router` runs it.
//
// "ours" is what `terraform apply` deploys with the local platform. "bare" is a
// httputil.ReverseProxy with a buffer pool and a tuned transport. Caddy, nginx and HAProxy take
// part if they are installed. "direct" is the replica without a proxy. Every round measures one
// after the other, so that a machine that is busy for a while disturbs all of them.
//
// It measures how many requests per second wrk gets answered, the CPU time of the proxy for
// each of them, the latency when requests come at a fixed rate, which is half of what ours
// can do, and the memory that an idle client takes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// settings are the flags of the benchmark.
type settings struct {
	// round is how long each measurement takes, and rounds how often it is repeated.
	round  time.Duration
	rounds int
	// connections is how many connections the load comes from.
	connections int
	// idleClients is how many clients are idle when memory is measured, and settle how long
	// the proxies get before that.
	idleClients int
	settle      time.Duration
	// profile is the file to write a CPU profile of the agent to, "" for none.
	profile string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "benchrouter:", err)
		stop()
		os.Exit(1)
	}
}

// run runs the benchmark, or one of the processes that it consists of.
func run(ctx context.Context, arguments []string) error {
	if len(arguments) > 0 {
		switch arguments[0] {
		case "bare":
			return serveBare(ctx, arguments[1:])
		case "load":
			return printLoad(ctx, arguments[1:])
		}
	}
	s, err := parse(arguments)
	if err != nil {
		return err
	}
	return s.benchmark(ctx)
}

func parse(arguments []string) (s settings, err error) {
	flags := flag.NewFlagSet("benchrouter", flag.ContinueOnError)
	flags.DurationVar(&s.round, "round", 4*time.Second, "how long each measurement takes")
	flags.IntVar(&s.rounds, "rounds", 5, "how often each measurement is repeated; the median counts")
	flags.IntVar(&s.connections, "connections", 32, "how many connections the load comes from")
	flags.IntVar(&s.idleClients, "idle", 2000, "how many clients are idle when memory is measured")
	flags.DurationVar(&s.settle, "settle", 15*time.Second, "how long proxies may tidy up before memory is measured")
	flags.StringVar(&s.profile, "profile", "",
		"file to write a CPU profile of the agent to; the agent is then built for it")
	if err := flags.Parse(arguments); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if s.round < time.Second || s.round%time.Second != 0 {
		return s, fmt.Errorf("-round is %s, but wrk needs whole seconds", s.round)
	}
	if s.rounds < 1 || s.connections < 1 || s.idleClients < 1 {
		return s, errors.New("-rounds, -connections and -idle must be at least 1")
	}
	if s.profile == "" {
		return s, nil
	}
	// The agent has another working directory.
	s.profile, err = filepath.Abs(s.profile)
	return s, err
}
