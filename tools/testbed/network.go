// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
)

// raiseBridge gives the node its device and its addresses. Left to itself a bridge
// has the lowest hardware address of its ports: each pod that comes or goes may
// change it, and then nothing that other pods send arrives until they have asked
// for it again, seconds later.
func (c *cluster) raiseBridge(ctx context.Context) error {
	if device, err := net.InterfaceByName(c.Bridge); err == nil {
		addresses, err := device.Addrs()
		if err != nil {
			return err
		}
		if device.Flags&net.FlagUp != 0 && device.HardwareAddr.String() == c.BridgeHardware && slices.ContainsFunc(addresses, func(a net.Addr) bool { return a.String() == c.BridgeAddress }) {
			return nil
		}
	} else if err := ip(ctx, "link", "add", c.Bridge, "type", "bridge"); err != nil {
		return err
	}
	if err := ip(ctx, "link", "set", c.Bridge, "address", c.BridgeHardware); err != nil {
		return err
	}
	if err := ip(ctx, "address", "replace", c.BridgeAddress, "dev", c.Bridge); err != nil {
		return err
	}
	return ip(ctx, "link", "set", c.Bridge, "up")
}

func (c *cluster) removeBridge(ctx context.Context) error {
	if _, err := net.InterfaceByName(c.Bridge); err == nil {
		return ip(ctx, "link", "delete", c.Bridge)
	}
	return nil
}

func ip(ctx context.Context, args ...string) error {
	return execute(exec.CommandContext(ctx, "ip", args...))
}

// families are the two sets of rules that kube-proxy writes.
var families = []string{"iptables", "ip6tables"}

// noOtherCluster keeps two clusters from writing the same rules.
func noOtherCluster(ctx context.Context) error {
	rules, err := output(exec.CommandContext(ctx, "iptables-save"))
	if err != nil {
		return err
	}
	if strings.Contains(rules, ":KUBE-SERVICES ") {
		return errors.New("testbed: this machine is a node of another cluster already, perhaps of a test bed in another directory: iptables has its rules")
	}
	return nil
}

// removeRules takes kube-proxy's rules out, and leaves all others alone.
func removeRules(ctx context.Context) error {
	for _, family := range families {
		rules, err := output(exec.CommandContext(ctx, family+"-save"))
		if err != nil {
			return err
		}
		script := withdrawal(rules)
		if script == "" {
			continue
		}
		restore := exec.CommandContext(ctx, family+"-restore", "--noflush", "--wait=10")
		restore.Stdin = strings.NewReader(script)
		if err := execute(restore); err != nil {
			return err
		}
	}
	return nil
}

// withdrawal turns what iptables-save printed into what makes iptables-restore
// --noflush delete the chains named KUBE-… and the jumps to them. It is empty
// when there is nothing to delete.
func withdrawal(saved string) string {
	var script strings.Builder
	var jumps, chains []string
	for line := range strings.Lines(saved) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "*"):
			jumps, chains = nil, nil
			fmt.Fprintln(&script, line)
		case strings.HasPrefix(line, ":KUBE-"):
			chain, _, _ := strings.Cut(line[1:], " ")
			chains = append(chains, chain)
		case strings.HasPrefix(line, "-A ") && !strings.HasPrefix(line, "-A KUBE-") && strings.Contains(line, " -j KUBE-"):
			jumps = append(jumps, "-D"+strings.TrimPrefix(line, "-A"))
		case line == "COMMIT":
			for _, jump := range jumps {
				fmt.Fprintln(&script, jump)
			}
			// Chains refer to each other: all are emptied before any is deleted.
			for _, verb := range []string{"-F", "-X"} {
				for _, chain := range chains {
					fmt.Fprintln(&script, verb, chain)
				}
			}
			fmt.Fprintln(&script, line)
		}
	}
	if !strings.Contains(script.String(), "-F KUBE-") {
		return ""
	}
	return script.String()
}
