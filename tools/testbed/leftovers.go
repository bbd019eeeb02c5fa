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

// The kubelet and containerd have no option to move these files.
const (
	logLinks     = "/var/log/containers"
	pluginSocket = "/var/lib/kubelet/device-plugins/kubelet.sock"
	shimSockets  = "/run/containerd/s"
)

// removeLeftovers removes the cluster's files in those directories, and the directories if
// they are empty.
func (c *cluster) removeLeftovers() error {
	own, err := c.ownLogLinks()
	if err != nil {
		return err
	}
	shims, err := c.ownShimSockets()
	if err != nil {
		return err
	}
	for _, path := range append(append(own, shims...), pluginSocket) {
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

// ownLogLinks returns the links to the logs of the cluster's containers.
func (c *cluster) ownLogLinks() ([]string, error) {
	links, err := filepath.Glob(filepath.Join(logLinks, "*"))
	if err != nil {
		return nil, err
	}
	var own []string
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, c.Dir+"/") {
			own = append(own, link)
		}
	}
	return own, nil
}

// ownShimSockets returns the sockets of the shims that were killed. Each shim has written
// the address of its socket to a file.
func (c *cluster) ownShimSockets() ([]string, error) {
	files, err := filepath.Glob(c.Path("containerd", "state", "io.containerd.runtime.v2.task", "*", "*", "address"))
	if err != nil {
		return nil, err
	}
	var own []string
	for _, file := range files {
		address, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading the address of a shim: %w", err)
		}
		own = append(own, strings.TrimPrefix(string(address), "unix://"))
	}
	return own, nil
}
