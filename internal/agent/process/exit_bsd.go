// SPDX-License-Identifier: MPL-2.0

//go:build unix && !linux

package process

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
)

// identify tells this process from all others that had or will have the same pid. It
// returns when the process started. A zombie does not count as a process.
func identify(pid int) (string, error) {
	line, err := exec.Command("ps", "-o", "state=", "-o", "lstart=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return "", fmt.Errorf("looking process %d up: %w", pid, err)
	}
	state, started, found := strings.Cut(strings.TrimSpace(string(line)), " ")
	if !found || strings.HasPrefix(state, "Z") {
		return "", errors.New("process " + strconv.Itoa(pid) + " has ended")
	}
	return strings.TrimSpace(started), nil
}

// awaitNonChild returns an error: these systems report the end of a process to its
// parent only.
func awaitNonChild(State) error { return durable.ErrUnsupported }

// awaitChild returns at once: waiting for a child takes a thread here.
func awaitChild(int) {}

// findProcess finds nothing: these systems show the environment of a process to
// no other process.
func findProcess(string) (pid int, identity string) { return 0, "" }

// findTree finds nothing, like findProcess: only the group of a process is ended on these systems.
func findTree(State, []State) []State { return nil }

func (s State) kill() {}

func (s State) awaitEnd(time.Time) bool { return true }

func (s State) isOfThisBoot() bool { return true }
