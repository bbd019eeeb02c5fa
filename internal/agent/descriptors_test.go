// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agent

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// A flood of clients of one deployment takes neither the descriptors of the API nor those of the
// clients of another deployment.
func TestFloodLeavesDescriptorsForTheAPI(t *testing.T) {
	t.Parallel()
	const limit, flood = "200", 300
	dir := newStateDir(t)
	c, err := client.New(string(dir))
	if err != nil {
		t.Fatal(err)
	}
	script := append([]string{"-c", `ulimit -n ` + limit + ` && exec "$0" "$@"`, os.Args[0]}, agentArguments(dir)...)
	startCommand(t, exec.Command("/bin/sh", script...))
	lockOf(t, c).Unlock()

	var endpoints [2]string
	for i, replica := range []store.ExternalReplica{silentServer(t, "green-1"), webServer(t, "green-1")} {
		name := []string{"flooded", "other"}[i]
		ledger := liveOn(replica, bluegreen.Green, 1)
		ledger.Name = name
		held := lockDeployment(t, c, name, "somebody")
		err := errors.Join(
			held.Route(t.Context(), bluegreen.Green, []store.ExternalReplica{replica}),
			held.Commit(t.Context(), ledger, nil, store.Frontend{DrainTimeout: longTimeout}, nil),
		)
		held.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		status, err := c.Deployment(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		endpoints[i] = status.Endpoint
	}
	for range flood {
		conn, err := net.Dial("tcp", strings.TrimPrefix(endpoints[0], "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: web\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}

	visitor := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	for range 5 {
		response, err := visitor.Get(endpoints[1])
		if err != nil {
			t.Fatalf("a client of the other deployment: %v", err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("a client of the other deployment gets %s", response.Status)
		}
		lockDeployment(t, c, "flooded", "somebody").Unlock()
		if _, err := c.Deployment(t.Context(), "flooded"); err != nil {
			t.Errorf("the API: %v", err)
		}
	}
}

// silentServer is a replica that answers nobody.
func silentServer(t *testing.T, id string) store.ExternalReplica {
	t.Helper()
	ended := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-ended:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(ended) })
	return store.ExternalReplica{ID: id, Incarnation: "first", Address: server.Listener.Addr().String()}
}
