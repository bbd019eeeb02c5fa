// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The page of the manual and the completions of every shell know every flag.
func TestPackagesKnowAllFlags(t *testing.T) {
	t.Parallel()
	flags := regexp.MustCompile(`(?m)^  -([a-z-]+)`)
	for _, command := range []string{"", "install", "connect"} {
		arguments := slices.DeleteFunc([]string{"agent", command, "-h"}, func(s string) bool { return s == "" })
		// What it exits with does not matter.
		usage, _ := exec.Command(os.Args[0], arguments...).CombinedOutput()
		found := flags.FindAllStringSubmatch(string(usage), -1)
		if len(found) == 0 || (command == "" && !strings.Contains(string(usage), "agent install")) {
			t.Fatalf("agent %s -h says %s", command, usage)
		}
		for _, file := range []string{
			"terraform-provider-bluegreen.1", "completion/terraform-provider-bluegreen.bash",
			"completion/_terraform-provider-bluegreen", "completion/terraform-provider-bluegreen.fish",
		} {
			content, err := os.ReadFile(filepath.Join("..", "..", "packaging", file))
			if err != nil {
				t.Fatal(err)
			}
			text := strings.ReplaceAll(string(content), `\-`, "-")
			for _, flag := range found {
				if !strings.Contains(text, "-"+flag[1]) && !strings.Contains(text, "-o "+flag[1]+" ") {
					t.Errorf("%s does not know -%s of agent %s", file, flag[1], command)
				}
			}
		}
	}
}

// Somebody who is not root installs an agent of their own, edits its unit, and installs again.
func TestAgentInstallsItself(t *testing.T) {
	t.Parallel()
	config := t.TempDir()
	path := filepath.Join(config, "systemd", "user", "bluegreen.service")
	run := func(flags ...string) (string, error) {
		command := exec.Command(os.Args[0], append([]string{"agent", "install"}, flags...)...)
		command.Env = append(os.Environ(), "XDG_CONFIG_HOME="+config)
		output, err := command.CombinedOutput()
		return string(output), err
	}
	printed, err := run("-user", "-print")
	want := "ExecStart=" + os.Args[0] + " agent -service -take-over -linger forever\n"
	if err != nil || !strings.Contains(printed, want) {
		t.Errorf("it prints %s, %v", printed, err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("with -print it writes a unit: %v", err)
	}
	said, err := run("-user")
	if err != nil || !strings.Contains(said, "systemctl --user enable --now bluegreen") {
		t.Errorf("it says %s, %v", said, err)
	}
	if strings.Contains(said, "has a version") {
		t.Errorf("it says %s", said)
	}
	written, err := os.ReadFile(path)
	if err != nil || !strings.HasSuffix(string(written), printed) {
		t.Errorf("the unit is %s, %v", written, err)
	}
	if err := os.WriteFile(path, append(written, "# mine\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := run("-user"); err == nil || !strings.Contains(said, "-force") {
		t.Errorf("for an edited unit it says %s, %v", said, err)
	}
	if said, err := run("-user", "-force"); err != nil {
		t.Errorf("with -force it says %s, %v", said, err)
	}
	if said, err := run("-as", "nobody-of-this-name"); err == nil || !strings.Contains(said, "useradd --system") {
		t.Errorf("without the user it says %s, %v", said, err)
	}
}

// A unit that runs a program in a mirror of providers runs that version for ever.
func TestAgentInstalledFromAMirrorSaysSo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := filepath.Join(dir, "terraform-provider-bluegreen_v0.1.0")
	if err := os.Link(os.Args[0], program); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program, "agent", "install", "-user")
	command.Env = append(os.Environ(), "XDG_CONFIG_HOME="+dir)
	said, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(said), "It runs a program whose name has a version") {
		t.Errorf("it says %s, %v", said, err)
	}
}
