// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// A commit that cannot listen says which process has the address.
func TestCommitNamesWhoHasTheAddress(t *testing.T) {
	t.Parallel()
	r := newRouted(t)
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	taken := store.Frontend{Listen: []string{other.Addr().String()}}
	err = r.Commit(t.Context(), liveOn(webServer(t, "green-1"), bluegreen.Green, 1), nil, taken, nil)
	if want := fmt.Sprintf("by process %d", os.Getpid()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}
