// SPDX-License-Identifier: MPL-2.0

package socket

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

// An address that is in use is reported with the process that uses it.
func TestAddressInUseNamesTheProcess(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	err = CheckFree(listener.Addr().String())
	want := fmt.Sprintf("address already in use by process %d (socket.test)", os.Getpid())
	if err == nil || !strings.HasSuffix(err.Error(), want) || !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v, want %q", err, want)
	}
}
