// SPDX-License-Identifier: MPL-2.0

package listener

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// parseLsof reads the output of lsof -Fputn: one field in each line, whose first letter names
// it. Those of a process come first: its pid and its user. Those of each of its sockets follow:
// the file descriptor, the type (IPv4 or IPv6) and the address.
func parseLsof(output []byte) (Table, error) {
	var found Table
	var s Socket
	var isIPv6 bool
	for line := range strings.Lines(string(output)) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		var err error
		switch value := line[1:]; line[0] {
		case 'p':
			s.PID, err = strconv.Atoi(value)
		case 'u':
			s.UID, err = strconv.Atoi(value)
		case 't':
			isIPv6 = value == "IPv6"
		case 'n':
			if s.Address, err = parseHostPort(value, isIPv6); err == nil {
				found = append(found, s)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("unexpected line %q of lsof", line)
		}
	}
	return found, nil
}

// parseSockstat reads the output of sockstat. Each line has the user, the command, which may
// hold spaces, the pid, the file descriptor, the protocol, the local and the foreign address.
func parseSockstat(output []byte) (Table, error) {
	var found Table
	for line := range strings.Lines(string(output)) {
		fields := strings.Fields(line)
		if len(fields) < 7 {
			return nil, fmt.Errorf("unexpected line %q of sockstat", line)
		}
		last := fields[len(fields)-5:]
		pid, err := strconv.Atoi(last[0])
		if err != nil {
			continue // A socket that no process holds has no pid.
		}
		uid, err := strconv.Atoi(fields[0])
		if err != nil {
			return nil, fmt.Errorf("unexpected line %q of sockstat", line)
		}
		// tcp46 is a socket for both.
		address, err := parseHostPort(last[3], last[2] != "tcp4")
		if err != nil {
			return nil, fmt.Errorf("unexpected line %q of sockstat", line)
		}
		found = append(found, Socket{Address: address, UID: uid, PID: pid})
	}
	return found, nil
}

// parseHostPort reads an address such as 127.0.0.1:80, [::1]:80, ::1:80 or *:80.
func parseHostPort(text string, isIPv6 bool) (netip.AddrPort, error) {
	colon := strings.LastIndexByte(text, ':')
	if colon < 0 {
		return netip.AddrPort{}, fmt.Errorf("unexpected address %q", text)
	}
	port, err := strconv.ParseUint(text[colon+1:], 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("unexpected address %q", text)
	}
	host := strings.Trim(text[:colon], "[]")
	address := netip.IPv4Unspecified()
	switch {
	case host != "*":
		if address, err = netip.ParseAddr(host); err != nil {
			return netip.AddrPort{}, fmt.Errorf("unexpected address %q", text)
		}
	case isIPv6:
		address = netip.IPv6Unspecified()
	}
	return netip.AddrPortFrom(address.Unmap(), uint16(port)), nil
}
