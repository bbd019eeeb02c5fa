// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Places that no option of the kubelet's or containerd's moves elsewhere.
const (
	logLinks     = "/var/log/containers"
	pluginSocket = "/var/lib/kubelet/device-plugins/kubelet.sock"
	shimSockets  = "/run/containerd/s"
)

// removeTraces removes what is ours in those places, and they themselves when
// nothing is left in them.
func (c *cluster) removeTraces() error {
	ours, err := c.ourLogLinks()
	if err != nil {
		return err
	}
	shims, err := c.ourShimSockets()
	if err != nil {
		return err
	}
	for _, path := range append(append(ours, shims...), pluginSocket) {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, dir := range []string{
		logLinks,
		filepath.Dir(pluginSocket), filepath.Dir(filepath.Dir(pluginSocket)),
		shimSockets, filepath.Dir(shimSockets),
	} {
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) {
			return err
		}
	}
	return nil
}

// ourLogLinks are the links to the logs of our containers.
func (c *cluster) ourLogLinks() ([]string, error) {
	links, err := filepath.Glob(filepath.Join(logLinks, "*"))
	if err != nil {
		return nil, err
	}
	var ours []string
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, c.Dir+"/") {
			ours = append(ours, link)
		}
	}
	return ours, nil
}

// ourShimSockets are those of the shims that were killed. Each has noted its own.
func (c *cluster) ourShimSockets() ([]string, error) {
	notes, err := filepath.Glob(c.Path("containerd", "state", "io.containerd.runtime.v2.task", "*", "*", "address"))
	if err != nil {
		return nil, err
	}
	var ours []string
	for _, note := range notes {
		address, err := os.ReadFile(note)
		if err != nil {
			return nil, fmt.Errorf("a shim's note: %w", err)
		}
		ours = append(ours, strings.TrimPrefix(string(address), "unix://"))
	}
	return ours, nil
}
