// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/unit"
)

// systemUnits is where systemd looks for the units that an administrator has written.
const systemUnits = "/etc/systemd/system"

// installation are the flags of "agent install".
type installation struct {
	// forUser is true for an agent of the user who runs the command.
	forUser, force, printOnly bool
	// as is the user that an agent for the machine runs as.
	as string
}

// install writes the unit of this program for systemd and says what to do next.
func install(args []string, out io.Writer) error {
	var i installation
	flags := flag.NewFlagSet("agent install", flag.ContinueOnError)
	flags.BoolVar(&i.forUser, "user", false, "write the unit of an agent of your own, not one for the machine")
	flags.StringVar(&i.as, "as", unit.User, "user that the agent for the machine runs as")
	flags.BoolVar(&i.force, "force", false, "replace a unit that somebody has edited")
	flags.BoolVar(&i.printOnly, "print", false, "print the unit and write nothing")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	text, err := i.unit()
	if err != nil {
		return err
	}
	if i.printOnly {
		_, err := io.WriteString(out, text)
		return err
	}
	if err := i.check(); err != nil {
		return err
	}
	path, err := i.path()
	if err != nil {
		return err
	}
	if err := unit.Install(path, text, i.force); err != nil {
		if errors.Is(err, unit.ErrEdited) {
			err = fmt.Errorf("%w; -force replaces it, and `systemctl edit` keeps changes apart from it", err)
		}
		return err
	}
	_, err = fmt.Fprintf(out, "Wrote %s. %sNext:\n\n%s", path, adviseOnPath(text), i.nextSteps())
	return err
}

// adviseOnPath says of a unit that it runs one version of the program for ever, "" if it does not.
func adviseOnPath(unit string) string {
	if !versionedProgram.MatchString(unit) {
		return ""
	}
	return "It runs a program whose name has a version, also after an upgrade: " +
		"copy the program to a path without one, and install again from there. "
}

// versionedProgram is the line of a unit that runs a file with a version in its name, as in a mirror of
// providers.
var versionedProgram = regexp.MustCompile(`(?m)^ExecStart=\S+_v[0-9]\S* `)

// unit returns the unit that runs this program.
func (i installation) unit() (string, error) {
	program, err := os.Executable()
	if err != nil {
		return "", err
	}
	if slices.Contains(strings.Split(filepath.ToSlash(program), "/"), ".terraform") {
		return "", fmt.Errorf("%s is in a working directory of Terraform, and may be removed with it: "+
			"copy it to /usr/local/bin/terraform-provider-bluegreen and run that", program)
	}
	if i.forUser {
		return unit.ForUser(program)
	}
	return unit.System(program, i.as)
}

// check returns an error if the unit could not be started.
func (i installation) check() error {
	if runtime.GOOS != "linux" {
		return errors.New("systemd needs Linux")
	}
	if i.forUser {
		return nil
	}
	if _, err := user.Lookup(i.as); err != nil {
		return fmt.Errorf("%w: create it with `useradd --system --home-dir %s --shell /usr/sbin/nologin %s`, "+
			"or name another user with -as", err, unit.StateDir, i.as)
	}
	return nil
}

// path is the file of the unit.
func (i installation) path() (string, error) {
	if !i.forUser {
		return filepath.Join(systemUnits, unit.Name), nil
	}
	config, err := os.UserConfigDir()
	return filepath.Join(config, "systemd", "user", unit.Name), err
}

// nextSteps says what to do once the unit is written.
func (i installation) nextSteps() string {
	if i.forUser {
		return `  systemctl --user daemon-reload
  systemctl --user enable --now bluegreen
  loginctl enable-linger    # so that it runs while you are logged out

The provider finds this agent without a setting.
`
	}
	return fmt.Sprintf(`  systemctl daemon-reload
  systemctl enable --now bluegreen

Then name the state directory in the provider, and run Terraform as %s:

  provider "bluegreen" {
    local = {
      state_dir = %q
    }
  }
`, i.as, unit.StateDir)
}
