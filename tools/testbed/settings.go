// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// settings are the kernel settings that the components change. The components also turn on
// IP forwarding. That setting is not restored, because other programs, such as Docker, may
// need it by then.
var settings = []string{
	"kernel/panic",
	"kernel/panic_on_oops",
	"net/ipv4/conf/all/route_localnet",
	"vm/overcommit_memory",
}

const sysctls = "/proc/sys"

func (c *cluster) savedSettings() string { return c.Path("settings.json") }

// saveSettings stores the settings from before the cluster, unless they are stored already.
func (c *cluster) saveSettings() error {
	if _, err := os.Stat(c.savedSettings()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	before := map[string]string{}
	for _, setting := range settings {
		value, err := os.ReadFile(filepath.Join(sysctls, setting))
		if err != nil {
			return err
		}
		before[setting] = string(value)
	}
	text, err := json.MarshalIndent(before, "", "  ")
	if err != nil {
		return err
	}
	return write(c.savedSettings(), string(text))
}

func (c *cluster) restoreSettings() error {
	text, err := os.ReadFile(c.savedSettings())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var before map[string]string
	if err := json.Unmarshal(text, &before); err != nil {
		return err
	}
	for _, setting := range settings {
		value, known := before[setting]
		if !known {
			continue
		}
		if err := os.WriteFile(filepath.Join(sysctls, setting), []byte(value), 0); err != nil {
			return err
		}
	}
	return nil
}
