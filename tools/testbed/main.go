// SPDX-License-Identifier: MPL-2.0

//go:build linux

// Testbed runs a Kubernetes cluster of one node on this machine: the real
// control plane, kubelet and kube-proxy, real pods and real Services. It keeps
// to ports, sockets and directories of its own, and takes all of it away again.
//
//	testbed up                      install, build and start what is missing
//	testbed down                    stop and remove everything
//	testbed stop COMPONENT...       stop etcd, kube-apiserver, kubelet, ...
//	testbed start COMPONENT...      start them again, and wait until they are healthy
//	testbed load TAR...             import image archives, as docker save and OCI tools write them
//	testbed load-binary NAME:TAG FILE...
//	                                make an image FROM scratch that runs the first static binary; import it
//
// The README beside this file says where things are.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// errUsage is a command line that says nothing that can be done.
var errUsage = errors.New("usage: testbed load TAR... | load-binary NAME:TAG FILE... | stop COMPONENT... | start COMPONENT... | up | down")

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
		return errors.New("testbed: a node needs root: namespaces, mounts, iptables")
	}
	cluster, err := newCluster()
	if err != nil {
		return err
	}
	release, err := lock(ctx)
	if err != nil {
		return err
	}
	defer release()

	switch command, rest := args[0], args[1:]; {
	case command == "up" && len(rest) == 0:
		return cluster.up(ctx)
	case command == "down" && len(rest) == 0:
		return cluster.down(ctx)
	case len(rest) == 0:
		return errUsage
	case !cluster.claimed():
		return errors.New("testbed: the cluster is not up; `make testbed` starts it")
	default:
		return use(ctx, cluster, command, rest)
	}
}

// use carries out the commands of a cluster that is up.
func use(ctx context.Context, cluster *cluster, command string, args []string) error {
	switch {
	case command == "load":
		return cluster.load(ctx, args)
	case command == "load-binary" && len(args) > 1:
		return cluster.loadBinary(ctx, args[0], args[1:])
	case command != "stop" && command != "start":
		return errUsage
	}
	components, err := cluster.named(args)
	if err != nil {
		return err
	}
	if command == "stop" {
		return cluster.stop(ctx, components...)
	}
	return cluster.ensure(ctx, components...)
}
