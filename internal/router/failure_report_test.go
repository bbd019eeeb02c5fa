// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// The owner of a pool learns how many requests in a row a replica has failed. An answer
// of any status ends the row, and so does nothing else. What a client breaks off or writes
// wrongly is not counted.
func TestFailedRequestsAreReported(t *testing.T) {
	t.Parallel()
	replica := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/hangup":
			panic(http.ErrAbortHandler)
		case "/breaks-off":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "begun")
			panic(http.ErrAbortHandler)
		case "/sick":
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(replica.Close)
	e := startRouter(t, protocol.HTTP, nil)
	var mu sync.Mutex
	var reported []int
	e.blue.OnFailure(func(b router.Backend, inARow int, cause error) {
		mu.Lock()
		defer mu.Unlock()
		reported = append(reported, inARow)
		if b.ID != "blue-1" || cause == nil {
			t.Errorf("reported is %v: %v", b, cause)
		}
	})
	e.blue.Set([]router.Backend{{ID: "blue-1", Addr: replica.Listener.Addr().String()}})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, path := range []string{"/hangup", "/breaks-off", "/hangup", "/sick", "/hangup", "/", "/hangup"} {
		response, err := client.Get("http://" + e.addr + path)
		if err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
	}
	if response, err := client.Post("http://"+e.addr+"/hangup", "", strings.NewReader("body")); err == nil {
		response.Body.Close()
	}
	replica.Close()
	if response, err := client.Get("http://" + e.addr); err == nil {
		response.Body.Close()
	}
	mu.Lock()
	defer mu.Unlock()
	if want := []int{1, 2, 3, 1, 1, 2, 3}; !slices.Equal(reported, want) {
		t.Errorf("reported are %v, want %v", reported, want)
	}
}
