// SPDX-License-Identifier: MPL-2.0

package listener

import (
	"net/netip"
	"reflect"
	"testing"
)

// The output of lsof -nP -iTCP -sTCP:LISTEN -Fputn on macOS.
const lsofOutput = `p4711
u501
f21
tIPv6
n*:3000
f22
tIPv4
n127.0.0.1:20123
p812
u0
f7
tIPv6
n[::1]:631
`

func TestOutputOfLsofIsRead(t *testing.T) {
	t.Parallel()
	got, err := parseLsof([]byte(lsofOutput))
	want := Table{
		{Address: netip.MustParseAddrPort("[::]:3000"), UID: 501, PID: 4711},
		{Address: netip.MustParseAddrPort("127.0.0.1:20123"), UID: 501, PID: 4711},
		{Address: netip.MustParseAddrPort("[::1]:631"), UID: 0, PID: 812},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read is %v, %v", got, err)
	}
	for _, damaged := range []string{"pabc\n", "p1\nn*\n", "p1\nn*:70000\n", "p1\nnlocalhost:80\n"} {
		if got, err := parseLsof([]byte(damaged)); err == nil {
			t.Errorf("%q is read as %v", damaged, got)
		}
	}
}

// The output of sockstat -46lnq -P tcp on FreeBSD.
const sockstatOutput = `1001     node       4711  21 tcp46  *:3000                *:*
1001     my server  4712  3  tcp4   127.0.0.1:20123       *:*
0        sshd       812   3  tcp6   *:22                  *:*
?        ?          ?     ?  tcp4   127.0.0.1:9999        *:*
`

func TestOutputOfSockstatIsRead(t *testing.T) {
	t.Parallel()
	got, err := parseSockstat([]byte(sockstatOutput))
	want := Table{
		{Address: netip.MustParseAddrPort("[::]:3000"), UID: 1001, PID: 4711},
		{Address: netip.MustParseAddrPort("127.0.0.1:20123"), UID: 1001, PID: 4712},
		{Address: netip.MustParseAddrPort("[::]:22"), UID: 0, PID: 812},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read is %v, %v", got, err)
	}
	if got, err := parseSockstat([]byte("1001 node 4711 21\n")); err == nil {
		t.Errorf("half a line is read as %v", got)
	}
}

func TestMostSpecificSocketIsReached(t *testing.T) {
	t.Parallel()
	exact := Socket{Address: netip.MustParseAddrPort("127.0.0.1:80"), Inode: 1}
	four := Socket{Address: netip.MustParseAddrPort("0.0.0.0:80"), Inode: 2}
	six := Socket{Address: netip.MustParseAddrPort("[::]:80"), Inode: 3}
	others := Table{
		{Address: netip.MustParseAddrPort("127.0.0.1:81"), Inode: 4},
		{Address: netip.MustParseAddrPort("[::1]:80"), Inode: 5},
		{Address: netip.MustParseAddrPort("10.0.0.1:80"), Inode: 6},
	}
	for _, c := range []struct{ listen, want Table }{
		{Table{six, four, exact}, Table{exact}}, {Table{six, four}, Table{four}}, {Table{six}, Table{six}}, {nil, nil},
	} {
		if got := append(c.listen, others...).Reached(80); !reflect.DeepEqual(got, c.want) {
			t.Errorf("of %v is reached %v, want %v", c.listen, got, c.want)
		}
	}
}
