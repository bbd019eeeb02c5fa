// SPDX-License-Identifier: MPL-2.0

//go:build unix && !linux

package agent

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
)

// identify returns what tells the process with this pid from every other one:
// the time at which it started. A process that has ended, but that nobody has
// waited for, is none.
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

// awaitExit would wait for the end of a process that is not a child, of which
// these systems tell only its parent.
func awaitExit(processState) error { return durable.ErrUnsupported }

// awaitChild returns at once: waiting for a child takes a thread here.
func awaitChild(int) {}

// findProcess would find a process by its environment. These systems show that
// to no other process.
func findProcess(string) (pid int, identity string) { return 0, "" }
