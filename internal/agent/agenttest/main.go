// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agenttest

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent"
)

// What the race detector of an agent or a replica is told.
const raceVariable, raceOptions = "GORACE", "atexit_sleep_ms=0"

// Main is the TestMain of a package whose tests use an agent. Before it runs the
// tests it looks whether this process is to be an agent or a replica. After them
// no goroutine may be left but those that are ignored.
func Main(m *testing.M, ignored ...goleak.Option) {
	if len(os.Args) > 1 && os.Args[1] == "agent" {
		if os.Getenv(raceVariable) == "" {
			// The race detector reads it at the start of the program.
			err := syscall.Exec(os.Args[0], os.Args, append(os.Environ(), raceVariable+"="+raceOptions))
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(agent.Main(os.Args[2:]))
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
