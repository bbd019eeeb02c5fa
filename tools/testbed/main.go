// SPDX-License-Identifier: MPL-2.0

//go:build linux

// Testbed runs a Kubernetes cluster of one node on this machine, with the real control
// plane, kubelet and kube-proxy. Pods run and Services route as on any cluster. The cluster
// uses ports, sockets and directories of its own, and all of it can be removed again.
//
//	testbed up                      install, build and start what is missing
//	testbed down                    stop and remove everything
//	testbed stop COMPONENT...       stop etcd, kube-apiserver, kubelet, ...
//	testbed start COMPONENT...      start them again, and wait until they are healthy
//	testbed load TAR...             import image archives, as docker save and OCI tools write them
//	testbed load-binary NAME:TAG FILE...
//	                                build an image FROM scratch that runs the first static binary; import it
//
// The README in this directory lists the files and addresses.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// errUsage reports an invalid command line.
var errUsage = errors.New("usage: testbed load TAR... | load-binary NAME:TAG FILE... | " +
	"stop COMPONENT... | start COMPONENT... | up | down")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	if os.Geteuid() != 0 {
		return errors.New("testbed: a node needs root, for namespaces, mounts and iptables")
	}
	cluster, err := newCluster()
	if err != nil {
		return err
	}
	command, rest := args[0], args[1:]
	switch {
	case len(rest) > 0 && !cluster.isClaimed():
		return errors.New("testbed: the cluster is not up; `make testbed` starts it")
	case command == "load" && len(rest) > 0:
		return cluster.load(ctx, rest)
	case command == "load-binary" && len(rest) > 1:
		return cluster.loadBinary(ctx, rest[0], rest[1:])
	default:
		return runLocked(ctx, cluster, command, rest)
	}
}

// runLocked runs the commands of which only one may run at a time.
func runLocked(ctx context.Context, cluster *cluster, command string, names []string) error {
	release, err := lock(ctx)
	if err != nil {
		return err
	}
	defer release()
	components, err := cluster.findComponents(names)
	if err != nil {
		return err
	}
	switch {
	case command == "up" && len(names) == 0:
		return cluster.up(ctx)
	case command == "down" && len(names) == 0:
		return cluster.down(ctx)
	case command == "stop" && len(names) > 0:
		return cluster.stop(ctx, components...)
	case command == "start" && len(names) > 0:
		return cluster.ensure(ctx, components...)
	default:
		return errUsage
	}
}
