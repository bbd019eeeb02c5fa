// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
)

// debianPackage is a package with one of its programs, and the service that it starts.
type debianPackage struct{ name, program, service string }

var packages = []debianPackage{
	{name: "etcd-server", program: "etcd", service: "etcd"},
	{name: "containerd", program: "containerd", service: "containerd"},
	{name: "runc", program: "runc"},
	{name: "containernetworking-plugins", program: "/usr/lib/cni/bridge"},
	{name: "iptables", program: "iptables"},
	{name: "conntrack", program: "conntrack"},
	{name: "iproute2", program: "ip"},
}

// policy is a program that Debian's packages run before they start a service. They start
// none if it exits with 101.
const policy = "/usr/sbin/policy-rc.d"

// install installs the packages that are missing. None of their services runs, now or
// after a restart of the machine.
func install(ctx context.Context) (err error) {
	var names, services []string
	for _, p := range packages {
		if _, err := exec.LookPath(p.program); err == nil {
			continue
		}
		names = append(names, p.name)
		if p.service != "" {
			services = append(services, p.service)
		}
	}
	if len(names) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("testbed: these Debian packages are missing, and there is no apt-get to install them: %s",
			strings.Join(names, ", "))
	}
	fmt.Println("installing", strings.Join(names, ", "))
	allow, err := denyServices()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, allow()) }()
	if err := aptGet(ctx, "update"); err != nil {
		return err
	}
	if err := aptGet(ctx, append([]string{"install", "--yes", "--no-install-recommends"}, names...)...); err != nil {
		return err
	}
	if _, err := exec.LookPath("systemctl"); err != nil || len(services) == 0 {
		return nil
	}
	return execute(exec.CommandContext(ctx, "systemctl", append([]string{"disable", "--quiet"}, services...)...))
}

func aptGet(ctx context.Context, args ...string) error {
	// The timeout is for another process that may be installing packages.
	args = append([]string{"--quiet", "-o", "DPkg::Lock::Timeout=300"}, args...)
	command := exec.CommandContext(ctx, "apt-get", args...)
	command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	return execute(command)
}

// denyServices keeps packages from starting services until allow is called. It does not
// change a policy that the machine has already.
func denyServices() (allow func() error, err error) {
	if _, err := os.Stat(policy); !errors.Is(err, fs.ErrNotExist) {
		return func() error { return nil }, err
	}
	if err := os.WriteFile(policy, []byte("#!/bin/sh\nexit 101\n"), 0o755); err != nil {
		return nil, err
	}
	return func() error { return os.Remove(policy) }, nil
}
