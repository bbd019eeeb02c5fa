// SPDX-License-Identifier: MPL-2.0

package listener

import (
	"net"
	"testing"
)

// The socket that gets the connections is found by itself as in the table of all.
func TestIsOneOf(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::]:0"} {
		open, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer open.Close()
		port := open.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // what "tcp" is documented to return
		table, err := Read()
		if err != nil {
			t.Fatal(err)
		}
		own := table.Reached(port).IDs()
		if len(own) != 1 || !IsOneOf(port, own) {
			t.Errorf("%s: the socket %q is not found", address, own)
		}
		if IsOneOf(port, nil) || IsOneOf(port, []string{"1-0-127.0.0.1:1"}) {
			t.Errorf("%s: another socket is taken for it", address)
		}
		open.Close()
		if IsOneOf(port, own) {
			t.Errorf("%s: a closed socket is found", address)
		}
	}
}

// A connection costs one lookup. The table, which grows with what listens, is read once a second.
func BenchmarkIsOneOf(b *testing.B) {
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer open.Close()
	port := open.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // what "tcp" is documented to return
	table, err := Read()
	if err != nil {
		b.Fatal(err)
	}
	own := table.Reached(port).IDs()
	for b.Loop() {
		if !IsOneOf(port, own) {
			b.Fatal("the socket is not found")
		}
	}
}
