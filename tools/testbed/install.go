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

// debian is a package, a program in it, and the service that it would start.
type debian struct{ name, program, service string }

var packages = []debian{
	{name: "etcd-server", program: "etcd", service: "etcd"},
	{name: "containerd", program: "containerd", service: "containerd"},
	{name: "runc", program: "runc"},
	{name: "containernetworking-plugins", program: "/usr/lib/cni/bridge"},
	{name: "iptables", program: "iptables"},
	{name: "conntrack", program: "conntrack"},
	{name: "iproute2", program: "ip"},
}

// policy is what Debian's packages ask before they start a service.
const policy = "/usr/sbin/policy-rc.d"

// install installs the packages that are missing, and sees to it that none of
// their services runs, now or after the next start of the machine.
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
		return fmt.Errorf("testbed: missing, and there is no apt-get to install it: %s (names of Debian's packages)", strings.Join(names, ", "))
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
	// Others may be installing something right now.
	command := exec.CommandContext(ctx, "apt-get", append([]string{"--quiet", "-o", "DPkg::Lock::Timeout=300"}, args...)...)
	command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	return execute(command)
}

// denyServices keeps packages from starting services until allow is called. A
// policy that the machine has already stays in force.
func denyServices() (allow func() error, err error) {
	if _, err := os.Stat(policy); !errors.Is(err, fs.ErrNotExist) {
		return func() error { return nil }, err
	}
	if err := os.WriteFile(policy, []byte("#!/bin/sh\nexit 101\n"), 0o755); err != nil {
		return nil, err
	}
	return func() error { return os.Remove(policy) }, nil
}
