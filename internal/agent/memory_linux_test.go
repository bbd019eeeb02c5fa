// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
)

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// peakMemory returns how many bytes of memory a process has had at most.
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(status, []byte("VmHWM:"))
	kilobytes, err := strconv.Atoi(strings.Fields(string(rest))[0])
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

// Bodies of any size pass through the agent, and it holds only the part that is on its way.
func TestLargeBodiesTakeNoMemory(t *testing.T) {
	t.Parallel()
	// With 1 GB it grows by 2 MB, and by 10 MB where it looks for races.
	const size, small, mayGrow = 128 << 20, 1 << 20, 16 << 20
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			t.Errorf("the upload: %v", err)
		}
		w.Header().Set("Received", strconv.FormatInt(n, 10))
		answer, _ := strconv.ParseInt(r.URL.RawQuery, 10, 64)
		_, _ = io.CopyN(w, endless{}, answer)
	}))
	t.Cleanup(server.Close)
	replica := store.ExternalReplica{ID: "green-1", Incarnation: "first", Address: server.Listener.Addr().String()}
	r, _ := newRoutedProcess(t)
	r.route(replica)
	r.makeLive(replica)
	r.Unlock()
	pid, err := r.client.PID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	visitor := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	// pass sends a body and reads another, both in chunks.
	pass := func(upload, answer int64) {
		t.Helper()
		body := io.LimitReader(endless{}, upload)
		url := fmt.Sprintf("%s/?%d", r.endpoint, answer)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
		if err != nil {
			t.Fatal(err)
		}
		response, err := visitor.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		n, err := io.Copy(io.Discard, response.Body)
		if err != nil || n != answer || response.Header.Get("Received") != strconv.FormatInt(upload, 10) {
			t.Errorf("of %d and %d bytes came %s and %d, %v", upload, answer, response.Header.Get("Received"), n, err)
		}
	}
	pass(small, small)
	before := peakMemory(t, pid)
	pass(size, 0)
	pass(0, size)
	if grown := peakMemory(t, pid) - before; grown > mayGrow {
		t.Errorf("the agent took %d MB more", grown>>20)
	}
}
