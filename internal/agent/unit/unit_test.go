// SPDX-License-Identifier: MPL-2.0

package unit_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/unit"
)

// settings returns the settings of a unit.
func settings(text string) map[string]string {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), "="); found && !strings.HasPrefix(name, "#") {
			values[name] = value
		}
	}
	return values
}

func TestUnitOfTheMachineIsThatOfThePackages(t *testing.T) {
	t.Parallel()
	packaged, err := os.ReadFile(unit.Name)
	if err != nil {
		t.Fatal(err)
	}
	same, err := unit.System(unit.Program, unit.User)
	if err != nil || same != string(packaged) {
		t.Errorf("the unit is %q, %v", same, err)
	}
	other, err := unit.System("/usr/local/bin/agent", "deploy")
	if err != nil {
		t.Fatal(err)
	}
	want := settings(string(packaged))
	want["ExecStart"] = "/usr/local/bin/agent agent -service -take-over -state-dir /var/lib/bluegreen -linger forever"
	want["User"] = "deploy"
	delete(want, "Group")
	got := settings(other)
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s is %q, want %q", name, got[name], want[name])
		}
	}
	if _, isSet := got["Group"]; isSet {
		t.Error("the group is not that of the user")
	}
}

// An agent of a user's own has the state directory that the provider expects.
func TestUnitOfAUserNeedsNoRights(t *testing.T) {
	t.Parallel()
	text, err := unit.ForUser("/home/jo/bin/agent")
	if err != nil {
		t.Fatal(err)
	}
	got := settings(text)
	const start = "/home/jo/bin/agent agent -service -take-over -linger forever"
	if got["ExecStart"] != start || got["WantedBy"] != "default.target" {
		t.Errorf("the unit is %s", text)
	}
	for _, name := range []string{
		"User", "Group", "StateDirectory", "ProtectSystem", "ProtectKernelTunables", "CapabilityBoundingSet",
	} {
		if _, isSet := got[name]; isSet {
			t.Errorf("%s is set", name)
		}
	}
	for _, name := range []string{"Type", "KillMode", "FileDescriptorStoreMax", "NoNewPrivileges", "RestrictSUIDSGID"} {
		if _, isSet := got[name]; !isSet {
			t.Errorf("%s is not set", name)
		}
	}
}

func TestSystemdAcceptsTheUnits(t *testing.T) {
	t.Parallel()
	verify, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("this machine has no systemd-analyze")
		return
	}
	machine, err := unit.System("/bin/true", "root")
	if err != nil {
		t.Fatal(err)
	}
	own, err := unit.ForUser("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	// The page of the manual is not installed here.
	machine = strings.Replace(machine, "Documentation=", "#", 1)
	for _, text := range []string{machine, own} {
		path := filepath.Join(t.TempDir(), unit.Name)
		if err := unit.Install(path, text, false); err != nil {
			t.Fatal(err)
		}
		if output, err := exec.Command(verify, "verify", path).CombinedOutput(); err != nil || len(output) > 0 {
			t.Errorf("%v: %s", err, output)
		}
	}
}

func TestPathsThatMeanSomethingElseInAUnitAreRefused(t *testing.T) {
	t.Parallel()
	for _, program := range []string{
		"agent", "/opt/my agent", "/opt/%h", "/opt/$HOME", "/opt/a\nUser=root", `/opt/"a"`,
	} {
		if text, err := unit.System(program, unit.User); err == nil {
			t.Errorf("%q: %s", program, text)
		}
	}
	for _, user := range []string{"", "a b", "jo\nUser=root", "%u"} {
		if text, err := unit.System(unit.Program, user); err == nil {
			t.Errorf("%q: %s", user, text)
		}
	}
}

// What an administrator has written stays; what an earlier version has written is replaced.
func TestEditedUnitIsNotReplaced(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "systemd", unit.Name)
	install := func(text string, force bool) error { return unit.Install(path, text, force) }
	content := func() string {
		t.Helper()
		read, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(read)
	}
	for _, version := range []string{"[Service]\nType=simple\n", "[Service]\nType=notify\n"} {
		if err := install(version, false); err != nil || !strings.HasSuffix(content(), "\n"+version) {
			t.Fatalf("the unit is %q, %v", content(), err)
		}
	}
	for _, written := range []string{content() + "User=jo\n", "[Service]\n", ""} {
		if err := os.WriteFile(path, []byte(written), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := install("[Service]\nType=exec\n", false); !errors.Is(err, unit.ErrEdited) || content() != written {
			t.Errorf("the unit is %q, %v", content(), err)
		}
	}
	if err := install("[Service]\nType=exec\n", true); err != nil || !strings.Contains(content(), "Type=exec") {
		t.Errorf("the unit is %q, %v", content(), err)
	}
}

// All may read the unit, whatever the umask is. The mode of a file that an interrupted installation has
// left shows it without a change of the umask, which all tests share.
func TestAllMayReadTheUnit(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), unit.Name)
	if err := os.WriteFile(path+".new", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unit.Install(path, "[Service]\n", false); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the unit is %v, %v", info, err)
	}
}
