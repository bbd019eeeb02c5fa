// SPDX-License-Identifier: MPL-2.0

package listener

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
)

// A file of a machine whose words begin with their last byte. It has a socket twice. What follows
// the first connection is not read.
const procFile = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:4E9B 00000000:0000 0A 00000000:00000000 00:00000000 00000000 65534        0 1518 1 0000 100 0 0 10 0
   1: 0100007F:4E9B 0100007F:C001 03 00000000:00000000 01:00000000 00000000     0        0 0 1 0000
   2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 77 1 0000 100 0 0 10 0
   3: 0100007F:4E9B 00000000:0000 0A 00000000:00000000 00:00000000 00000000 65534        0 1518 1 0000 100 0 0 10 0
   4: 0100007F:0050 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 99 1 0000
   5: cut off
`

func TestSocketsOfProcAreRead(t *testing.T) {
	t.Parallel()
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Log("the file is that of another kind of machine")
		return
	}
	got, err := parseProc(strings.NewReader(procFile))
	want := Table{
		{Address: netip.MustParseAddrPort("127.0.0.1:20123"), UID: 65534, Inode: 1518},
		{Address: netip.MustParseAddrPort("0.0.0.0:22"), UID: 0, Inode: 77},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read is %v, %v", got, err)
	}
	for address, want := range map[string]string{
		"0000000000000000FFFF00000100007F:0050": "127.0.0.1:80",
		"00000000000000000000000001000000:0050": "[::1]:80",
		"00000000000000000000000000000000:FFFF": "[::]:65535",
	} {
		if got, err := parseAddress(address); err != nil || got.String() != want {
			t.Errorf("%s is read as %s, %v", address, got, err)
		}
	}
	for _, damaged := range []string{"", "0100007F", "0100:50", "0100007F:1FFFF", "zz00007F:0050"} {
		if got, err := parseAddress(damaged); err == nil {
			t.Errorf("%q is read as %s", damaged, got)
		}
	}
}

// The sockets of this process are found, and found to be its own.
func TestOwnSocketsAreHeld(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:0", "0.0.0.0:0", ":0"} {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		table, err := Read()
		if err != nil {
			t.Fatal(err)
		}
		port := netip.MustParseAddrPort(listener.Addr().String()).Port()
		reached := table.Reached(int(port))
		held, hidden := reached.HeldBy([]int{1 << 30, os.Getpid()})
		if len(reached) != 1 || !reflect.DeepEqual(held, reached) || len(hidden) > 0 || reached[0].UID != os.Getuid() {
			t.Errorf("at %s is reached %v, of which are held %v; hidden are %v", listener.Addr(), reached, held, hidden)
		}
		if pid := Holder(reached[0]); pid != os.Getpid() {
			t.Errorf("the holder is process %d", pid)
		}
	}
}
