// SPDX-License-Identifier: MPL-2.0

package listener

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// IsSupported is false where this package knows nothing. Read then returns nothing.
const IsSupported = true

// A table is worth its cost for a replica that has just started after FirstLook, and for one
// that listens every LookInterval.
const (
	FirstLook    = 5 * time.Millisecond
	LookInterval = time.Second
)

// Read returns the sockets that listen now.
func Read() (Table, error) {
	var all Table
	for _, path := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		file, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) && all != nil {
			continue // A kernel without IPv6 has no second file.
		}
		if err != nil {
			return nil, fmt.Errorf("reading who listens: %w", err)
		}
		found, err := parseProc(file)
		file.Close()
		if err != nil {
			return nil, fmt.Errorf("reading who listens: %s: %w", path, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// The states of sockets in /proc/net/tcp, from include/net/tcp_states.h of the kernel.
const (
	stateSynReceived = "03"
	stateListen      = "0A"
)

// parseProc returns the sockets in a file such as /proc/net/tcp that listen. The kernel lists
// them before all others (Documentation/networking/proc_net_tcp.rst), of which there can be
// very many, so parseProc reads no further. Old kernels list connections that are about to be
// made among those that listen. A socket may be in the file twice if others were opened or closed
// while it was read.
func parseProc(file io.Reader) (Table, error) {
	found, seen := Table{}, map[Socket]bool{}
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, 32<<10), 64<<10)
	lines.Scan() // the titles
	for lines.Scan() {
		// The local address (1), the state (3), the user (7) and the inode (9).
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 {
			return nil, fmt.Errorf("unexpected line %q", lines.Text())
		}
		if fields[3] == stateSynReceived {
			continue
		}
		if fields[3] != stateListen {
			break
		}
		address, err := parseAddress(fields[1])
		if err != nil {
			return nil, err
		}
		uid, err := strconv.Atoi(fields[7])
		if err != nil {
			return nil, err
		}
		inode, err := strconv.ParseUint(fields[9], 10, 64)
		if err != nil {
			return nil, err
		}
		if socket := (Socket{Address: address, UID: uid, Inode: inode}); !seen[socket] {
			seen[socket] = true
			found = append(found, socket)
		}
	}
	return found, lines.Err()
}

// parseAddress reads an address such as 0100007F:4E8B: words of 32 bits in the order of bytes
// of this machine, and the port.
func parseAddress(text string) (netip.AddrPort, error) {
	words, port, _ := strings.Cut(text, ":")
	bytes, err := hex.DecodeString(words)
	if err != nil || len(bytes) != 4 && len(bytes) != 16 {
		return netip.AddrPort{}, fmt.Errorf("unexpected address %q", text)
	}
	for i := 0; i < len(bytes); i += 4 {
		binary.NativeEndian.PutUint32(bytes[i:], binary.BigEndian.Uint32(bytes[i:]))
	}
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("unexpected address %q", text)
	}
	address, _ := netip.AddrFromSlice(bytes)
	return netip.AddrPortFrom(address.Unmap(), uint16(number)), nil
}

// HeldBy returns the sockets of the table that the processes hold, and those of the processes
// that do not show to this one what they hold.
func (t Table) HeldBy(pids []int) (held Table, hidden []int) {
	for _, pid := range pids {
		inodes, err := inodesOf(pid)
		if errors.Is(err, fs.ErrPermission) {
			hidden = append(hidden, pid)
		}
		for _, s := range t {
			if inodes[s.Inode] {
				held = append(held, s)
			}
		}
	}
	return held, hidden
}

// Holder returns a process that holds the socket, 0 if none is known.
func Holder(s Socket) (pid int) {
	directories, _ := filepath.Glob("/proc/[0-9]*")
	for _, directory := range directories {
		pid, err := strconv.Atoi(filepath.Base(directory))
		if err != nil {
			continue
		}
		if inodes, err := inodesOf(pid); err == nil && inodes[s.Inode] {
			return pid
		}
	}
	return 0
}

// inodesOf returns the inodes of the sockets that the process holds.
func inodesOf(pid int) (map[uint64]bool, error) {
	directory := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, err
	}
	inodes := map[uint64]bool{}
	for _, entry := range entries {
		target, err := os.Readlink(filepath.Join(directory, entry.Name()))
		if errors.Is(err, fs.ErrPermission) {
			return nil, err
		}
		digits, isSocket := strings.CutPrefix(target, "socket:[")
		if inode, err := strconv.ParseUint(strings.TrimSuffix(digits, "]"), 10, 64); err == nil && isSocket {
			inodes[inode] = true
		}
	}
	return inodes, nil
}

// UsersOf returns the users that the process acts as: the real, the effective and the saved
// one, and that of the file system.
func UsersOf(pid int) []int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil
	}
	_, rest, _ := strings.Cut(string(status), "\nUid:")
	line, _, _ := strings.Cut(rest, "\n")
	var users []int
	for _, field := range strings.Fields(line) {
		if uid, err := strconv.Atoi(field); err == nil {
			users = append(users, uid)
		}
	}
	return users
}
