// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agenttest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/build"
)

// What the race detector of an agent or a replica is told.
const raceVariable, raceOptions = "GORACE", "atexit_sleep_ms=0"

// testVersion is the version of the tests, and of the agents that they start.
const testVersion = "1.0.0"

// linkPrefix begins the name of a link to this program. The version follows.
const linkPrefix = "agent-"

// AgentOf returns the command of an agent that is of another version than this program.
func AgentOf(t testing.TB, version string) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), linkPrefix+version)
	if err := os.Symlink(self, link); err != nil {
		t.Fatal(err)
	}
	return []string{link, "agent"}
}

// Main is the TestMain of a package whose tests use an agent. Before it runs the
// tests it looks whether this process is to be an agent or a replica. After them
// no goroutine may be left but those that are ignored.
func Main(m *testing.M, ignored ...goleak.Option) {
	// A link to this program plays an agent of another version.
	build.Version = testVersion
	if version, isOther := strings.CutPrefix(filepath.Base(os.Args[0]), linkPrefix); isOther {
		build.Version = version
	}
	if len(os.Args) > 1 && os.Args[1] == "agent" {
		isLauncher := len(os.Args) > 2 && os.Args[2] == process.LauncherArgument
		if os.Getenv(raceVariable) == "" && !isLauncher {
			// The race detector reads it at the start of the program.
			err := syscall.Exec(os.Args[0], os.Args, append(os.Environ(), raceVariable+"="+raceOptions))
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(agent.Main(os.Args[2:]))
	}
	if port := os.Getenv(thiefVariable); port != "" {
		fmt.Fprintln(os.Stderr, steal(port))
		os.Exit(1)
	}
	if mode := os.Getenv(modeVariable); mode != "" {
		os.Exit(serve(Mode(mode)))
	}
	// A process that looks for races would take a second to end.
	if err := os.Setenv(raceVariable, raceOptions); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// Every logfile.File has a goroutine that never ends.
	ignored = append(ignored, goleak.IgnoreTopFunction("gopkg.in/natefinch/lumberjack%2ev2.(*Logger).millRun"))
	goleak.VerifyTestMain(m, ignored...)
}
