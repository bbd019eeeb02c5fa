// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	// patience is how long a component that runs may seem unwell before it is
	// started anew: others may be keeping this machine busy.
	patience = 10 * time.Second
	// limit is the longest that anything else may take: a component to be
	// healthy, the node to be ready, a process to be gone.
	limit = 2 * time.Minute
)

// cluster is the one of this machine.
type cluster struct{ layout }

func newCluster() (*cluster, error) {
	// Not every shell of root has them.
	if err := os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin"); err != nil {
		return nil, err
	}
	dir, err := stateDir()
	if err != nil {
		return nil, err
	}
	binaries, err := binariesDir()
	if err != nil {
		return nil, err
	}
	return &cluster{newLayout(dir, binaries)}, nil
}

// up makes the cluster whole: what is missing is installed, built and started,
// what is unwell is started anew, and what is fine is left alone. When that
// does not help, the cluster is made anew.
func (c *cluster) up(ctx context.Context) error {
	began := time.Now()
	if err := install(ctx); err != nil {
		return err
	}
	if err := c.build(ctx); err != nil {
		return err
	}
	old := c.claimed()
	err := c.run(ctx)
	if err != nil && old && ctx.Err() == nil {
		fmt.Fprintf(os.Stderr, "testbed: the cluster is beyond repair, and is made anew: %v\n", err)
		if err := c.down(ctx); err != nil {
			return err
		}
		err = c.run(ctx)
	}
	if err != nil {
		return err
	}
	fmt.Printf("the node is ready after %.1f s\n\n  export KUBECONFIG=%s\n\n", time.Since(began).Seconds(), c.Kubeconfig)
	return nil
}

// run prepares the machine and ensures one stage after the other.
func (c *cluster) run(ctx context.Context) error {
	if !c.claimed() {
		if err := noOtherCluster(ctx); err != nil {
			return err
		}
	} else if _, err := net.InterfaceByName(c.Bridge); err != nil {
		return fmt.Errorf("the pods have lost their network, as they do when the machine starts: %w", err)
	}
	for _, prepare := range []func() error{
		c.claim,
		c.saveSettings,
		c.grantAccess,
		func() error { return c.raiseBridge(ctx) },
		c.installSelf,
	} {
		if err := prepare(); err != nil {
			return err
		}
	}
	stages, err := c.stages()
	if err != nil {
		return err
	}
	for _, stage := range stages {
		if err := c.ensure(ctx, stage...); err != nil {
			return err
		}
		if slices.ContainsFunc(stage, func(comp component) bool { return comp.name == "containerd" }) {
			if err := c.loadPause(ctx); err != nil {
				return err
			}
		}
	}
	return poll(ctx, limit, c.nodeReady)
}

// ensure starts those of the components that do not run as they ought to, and
// waits until all are healthy.
func (c *cluster) ensure(ctx context.Context, components ...component) error {
	for _, comp := range components {
		current, err := c.current(comp)
		if err != nil {
			return err
		}
		if current && poll(ctx, patience, comp.probe) == nil {
			continue
		}
		if err := c.stop(ctx, comp); err != nil {
			return err
		}
		if err := c.start(comp); err != nil {
			return err
		}
	}
	for _, comp := range components {
		if err := c.await(ctx, comp); err != nil {
			return err
		}
	}
	return nil
}

// errDied ends the wait for a component at once.
var errDied = errors.New("it has ended")

// await waits until the component is healthy, for as long as it lives.
func (c *cluster) await(ctx context.Context, comp component) error {
	died := false
	err := poll(ctx, limit, func(ctx context.Context) error {
		running, err := c.processes(comp)
		if err != nil {
			return err
		}
		if died = len(running) == 0 && !c.started(comp); died {
			return nil
		}
		return comp.probe(ctx)
	})
	if died {
		err = errDied
	}
	if err != nil {
		return fmt.Errorf("%s: %w; the end of %s:\n%s", comp.name, err, c.log(comp), lastLines(c.log(comp)))
	}
	return nil
}

// named finds the components of these names.
func (c *cluster) named(names []string) ([]component, error) {
	stages, err := c.stages()
	if err != nil {
		return nil, err
	}
	all := slices.Concat(stages...)
	var found []component
	for _, name := range names {
		at := slices.IndexFunc(all, func(comp component) bool { return comp.name == name })
		if at < 0 {
			return nil, fmt.Errorf("testbed: no component is called %q; there are %s", name, componentNames(all))
		}
		found = append(found, all[at])
	}
	return found, nil
}

func componentNames(all []component) string {
	var names []string
	for _, comp := range all {
		names = append(names, comp.name)
	}
	return strings.Join(names, ", ")
}
