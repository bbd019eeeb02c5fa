// SPDX-License-Identifier: MPL-2.0

package process

import (
	"fmt"
	"strconv"
	"strings"
)

// PortRange is a range of TCP ports that replicas get. The zero value is none.
type PortRange struct{ First, Last int }

// DefaultPorts are below the ephemeral range of every common system, so that no outgoing
// connection takes a port before a replica binds it.
var DefaultPorts = PortRange{20000, 29999}

const (
	// minPort is the first port that does not need a right of its own.
	minPort, maxPort = 1024, 65535
	// minPorts is how many ports a range has at least.
	minPorts = 100
)

// ParsePortRange reads a range such as "20000-29999".
func ParsePortRange(text string) (PortRange, error) {
	first, last, _ := strings.Cut(text, "-")
	var r PortRange
	var err error
	if r.First, err = strconv.Atoi(first); err == nil {
		r.Last, err = strconv.Atoi(last)
	}
	if err != nil || r.String() != text {
		return PortRange{}, fmt.Errorf(`%q is not a range of ports such as "20000-29999"`, text)
	}
	if r.First < minPort || r.Last > maxPort || r.size() < minPorts {
		return PortRange{}, fmt.Errorf("%s must have at least %d ports between %d and %d",
			text, minPorts, minPort, maxPort)
	}
	return r, nil
}

// String returns the range as ParsePortRange reads it.
func (r PortRange) String() string { return fmt.Sprintf("%d-%d", r.First, r.Last) }

func (r PortRange) size() int { return r.Last - r.First + 1 }

func (r PortRange) contains(port int) bool { return r.First <= port && port <= r.Last }

// Overlaps reports whether a port is in both ranges.
func (r PortRange) Overlaps(other PortRange) bool {
	return other.contains(r.First) || r.contains(other.First)
}
