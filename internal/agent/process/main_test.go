// SPDX-License-Identifier: MPL-2.0

package process

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain is two programs: the tests, and the launcher of what they start.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "agent" && os.Args[2] == LauncherArgument {
		os.Exit(Launch())
	}
	// Every logfile.File has a goroutine that never ends.
	if len(os.Args) > 1 && os.Args[1] == "check" {
		fmt.Println(Settings{AllowNewPrivileges: true}.Check())
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "leave" {
		LeaveRun()
		groups, _ := os.ReadFile("/proc/self/cgroup")
		limits, _ := os.ReadFile("/proc/self/limits")
		fmt.Printf("%s%s", groups, limits)
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("gopkg.in/natefinch/lumberjack%2ev2.(*Logger).millRun"))
}
