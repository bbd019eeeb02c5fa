// SPDX-License-Identifier: MPL-2.0

package listener

import (
	"fmt"
	"net/netip"
	"slices"
)

// Socket is a TCP socket that listens.
type Socket struct {
	// Address is where it listens. An IPv4 address in the form of an IPv6 address is given as
	// the IPv4 address.
	Address netip.AddrPort
	// UID is the user that has made the socket.
	UID int
	// Inode identifies the socket, 0 where the system does not show that.
	Inode uint64
	// PID is a process that holds the socket, 0 where the system does not show that beside
	// the socket.
	PID int
}

// Table holds the sockets that listened on this machine at one moment.
type Table []Socket

// destinations are the addresses that a connection to 127.0.0.1 can arrive at, the most
// specific one first: a socket at an earlier one gets the connection.
var destinations = []netip.Addr{
	netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv4Unspecified(), netip.IPv6Unspecified(),
}

// Reached returns the sockets that a connection to 127.0.0.1 and this port may arrive at. There
// are several if processes share the port.
func (t Table) Reached(port int) Table {
	for _, address := range destinations {
		var found Table
		for _, s := range t {
			if int(s.Address.Port()) == port && s.Address.Addr() == address {
				found = append(found, s)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// Addresses returns where the sockets listen, each address once, in order.
func (t Table) Addresses() []string {
	sorted := slices.SortedFunc(slices.Values(t), func(a, b Socket) int { return a.Address.Compare(b.Address) })
	var list []string
	for _, s := range sorted {
		list = append(list, s.Address.String())
	}
	return slices.Compact(list)
}

// Contains reports whether all sockets of other are in the table.
func (t Table) Contains(other Table) bool {
	return !slices.ContainsFunc(other, func(s Socket) bool { return !slices.Contains(t, s) })
}

// IDs returns a name of each socket that no other one has.
func (t Table) IDs() []string {
	ids := make([]string, len(t))
	for i, s := range t {
		ids[i] = fmt.Sprintf("%d-%d-%s", s.Inode, s.PID, s.Address)
	}
	return ids
}

// HasStayed reports whether a socket whose ID is among before is among after too, so that it has
// listened all the time in between. On systems that tell nothing there are none.
func HasStayed(before, after []string) bool {
	return len(before) == 0 || slices.ContainsFunc(before, func(id string) bool { return slices.Contains(after, id) })
}
