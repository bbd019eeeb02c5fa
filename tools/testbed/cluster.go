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
	// unhealthyTimeout is how long a running component may fail its probe before it is
	// restarted. The machine may be busy with other work.
	unhealthyTimeout = 10 * time.Second
	// timeout limits all other waits: for a healthy component, for the node to be ready,
	// and for a process to end.
	timeout = 2 * time.Minute
)

// cluster is the cluster of this machine.
type cluster struct{ layout }

func newCluster() (*cluster, error) {
	// Some shells of root lack these directories.
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

// up starts the cluster, or repairs it. It installs, builds and starts what is missing,
// restarts components that are not healthy, and does not change the others. If that fails,
// it removes the cluster and creates a new one.
func (c *cluster) up(ctx context.Context) error {
	began := time.Now()
	if err := install(ctx); err != nil {
		return err
	}
	if err := c.build(ctx); err != nil {
		return err
	}
	existed := c.isClaimed()
	err := c.run(ctx)
	if err != nil && existed && ctx.Err() == nil {
		fmt.Fprintf(os.Stderr, "testbed: the cluster cannot be repaired, and is created again: %v\n", err)
		if err := c.down(ctx); err != nil {
			return err
		}
		err = c.run(ctx)
	}
	if err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	fmt.Printf("the node is ready after %.1f s\n\n  export KUBECONFIG=%s\n\n", took, c.Kubeconfig)
	return nil
}

// run prepares the machine, and starts the components stage by stage.
func (c *cluster) run(ctx context.Context) error {
	if !c.isClaimed() {
		if err := checkNoOtherCluster(ctx); err != nil {
			return err
		}
	} else if _, err := net.InterfaceByName(c.Bridge); err != nil {
		return fmt.Errorf("the pods have lost their network, as after a restart of the machine: %w", err)
	}
	for _, prepare := range []func() error{
		c.claim,
		c.saveSettings,
		c.grantAccess,
		func() error { return c.ensureBridge(ctx) },
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
	return poll(ctx, timeout, c.checkNodeReady)
}

// ensure starts the components that do not run as configured. It waits until all of them
// are healthy.
func (c *cluster) ensure(ctx context.Context, components ...component) error {
	for _, comp := range components {
		current, err := c.isCurrent(comp)
		if err != nil {
			return err
		}
		if current && poll(ctx, unhealthyTimeout, comp.probe) == nil {
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

// errDied reports that a component has ended.
var errDied = errors.New("it has ended")

// await waits until the component is healthy. It returns an error if the component ends.
func (c *cluster) await(ctx context.Context, comp component) error {
	died := false
	err := poll(ctx, timeout, func(ctx context.Context) error {
		running, err := c.processes(comp)
		if err != nil {
			return err
		}
		if died = len(running) == 0 && !c.isAlive(comp); died {
			return nil
		}
		return comp.probe(ctx)
	})
	if died {
		err = errDied
	}
	if err != nil {
		return fmt.Errorf("%s: %w; the last lines of %s:\n%s", comp.name, err, c.log(comp), lastLines(c.log(comp)))
	}
	return nil
}

// findComponents returns the components with these names.
func (c *cluster) findComponents(names []string) ([]component, error) {
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
