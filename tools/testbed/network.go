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

// ensureBridge creates the node's device with its addresses. The hardware address is
// explicit, because a bridge without one takes the lowest address of its ports. It would
// change when a pod is created or removed, and packets of other pods would be lost for
// seconds, until they have resolved the new address.
func (c *cluster) ensureBridge(ctx context.Context) error {
	if device, err := net.InterfaceByName(c.Bridge); err == nil {
		addresses, err := device.Addrs()
		if err != nil {
			return err
		}
		isUp := device.Flags&net.FlagUp != 0 && device.HardwareAddr.String() == c.BridgeHardware
		isNodes := func(a net.Addr) bool { return a.String() == c.BridgeAddress }
		if isUp && slices.ContainsFunc(addresses, isNodes) {
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

// families are the programs for the two sets of rules that kube-proxy writes.
var families = []string{"iptables", "ip6tables"}

// checkNoOtherCluster returns an error if another cluster has written its rules. Two
// clusters would write the same rules.
func checkNoOtherCluster(ctx context.Context) error {
	rules, err := output(exec.CommandContext(ctx, "iptables-save"))
	if err != nil {
		return err
	}
	if strings.Contains(rules, ":KUBE-SERVICES ") {
		return errors.New("testbed: iptables has the rules of another cluster, of which this machine is a node; " +
			"it may be a test bed in another directory")
	}
	return nil
}

// removeRules removes kube-proxy's rules and no others.
func removeRules(ctx context.Context) error {
	for _, family := range families {
		rules, err := output(exec.CommandContext(ctx, family+"-save"))
		if err != nil {
			return err
		}
		script := removalScript(rules)
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

// removalScript returns the input with which iptables-restore --noflush deletes the chains
// named KUBE-… and the jumps to them. saved is the output of iptables-save. The script is
// empty if there is nothing to delete.
func removalScript(saved string) string {
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
		case strings.HasPrefix(line, "-A ") && !strings.HasPrefix(line, "-A KUBE-") &&
			strings.Contains(line, " -j KUBE-"):
			jumps = append(jumps, "-D"+strings.TrimPrefix(line, "-A"))
		case line == "COMMIT":
			for _, jump := range jumps {
				fmt.Fprintln(&script, jump)
			}
			// Chains refer to each other, so all are emptied before any is deleted.
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
