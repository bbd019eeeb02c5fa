// SPDX-License-Identifier: MPL-2.0

package socket

import (
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process/listener"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/printable"
)

// maxName is how many characters of the name of a process are shown.
const maxName = 30

// describeHolder says which process listens on the port of address, "" if that is not known.
func describeHolder(address string) string {
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return ""
	}
	table, err := listener.Read()
	if err != nil {
		return ""
	}
	for _, s := range table {
		held := net.IP(s.Address.Addr().AsSlice())
		if int(s.Address.Port()) != resolved.Port ||
			!held.Equal(resolved.IP) && !held.IsUnspecified() && !resolved.IP.IsUnspecified() && resolved.IP != nil {
			continue
		}
		if pid := listener.Holder(s); pid != 0 {
			return describeProcess(pid)
		}
	}
	return ""
}

// describeProcess names a process. An agent without its directory is found by nobody else.
func describeProcess(pid int) string {
	if isLostAgent(pid) {
		return fmt.Sprintf("process %d, an agent whose state directory was removed: end it and its replicas with "+
			"\"kill %d\"", pid, pid)
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return fmt.Sprintf("process %d", pid)
	}
	return fmt.Sprintf("process %d (%s)", pid, printable.Cut(strings.TrimSpace(string(name)), maxName))
}

// isLostAgent reports whether the process is an agent whose working directory, which is its state
// directory, was removed.
func isLostAgent(pid int) bool {
	arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !strings.Contains(string(arguments), "\x00agent\x00") {
		return false
	}
	dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	return err == nil && strings.HasSuffix(dir, " (deleted)")
}
