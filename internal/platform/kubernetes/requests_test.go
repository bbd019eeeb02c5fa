// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// counter counts what is asked of the cluster.
type counter struct {
	next http.RoundTripper

	mu       sync.Mutex
	requests []string
}

func (c *counter) RoundTrip(request *http.Request) (*http.Response, error) {
	c.mu.Lock()
	what := request.Method + " " + request.URL.Path[strings.LastIndex(request.URL.Path, "/")+1:]
	if request.URL.Query().Get("watch") != "" {
		what = "WATCH" + strings.TrimPrefix(what, http.MethodGet)
	}
	c.requests = append(c.requests, what)
	c.mu.Unlock()
	return c.next.RoundTrip(request)
}

// since returns what was asked since the last call.
func (c *counter) since() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked := c.requests
	c.requests = nil
	return asked
}

// counting returns a client of its own whose requests are counted.
func counting(t testing.TB) (*Client, *counter) {
	t.Helper()
	client := NewClient(theTestbed.settings())
	t.Cleanup(client.Close)
	api, err := client.open()
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{next: api.http.Transport}
	api.http.Transport = c
	return client, c
}

// WrappedRoundTripper lets the connections be closed.
func (c *counter) WrappedRoundTripper() http.RoundTripper { return c.next }

// A refresh asks for the Service, and for one list of Deployments.
func TestClusterRefreshIsOneRead(t *testing.T) {
	t.Parallel()
	client, asked := counting(t)
	s := newShopOf(t, client)
	s.live("1.0.0", 2)
	s.live("2.0.0", 2)
	asked.since()
	status, err := s.Status(t.Context())
	s.must(err)
	got := asked.since()
	slices.Sort(got)
	if want := []string{"GET deployments", "GET " + s.Deployment}; !slices.Equal(got, want) {
		t.Errorf("a refresh asks %q, want %q", got, want)
	}
	if status.Running["blue"] != 2 || status.Running["green"] != 2 || !strings.HasPrefix(status.Endpoint, s.Deployment+"."+s.namespace+".svc:") {
		t.Errorf("the status is %+v", status)
	}
}

// What a deploy asks does not grow with the replicas but for their probes, which
// go through tunnels that are not counted here.
func TestClusterRequestsDoNotGrowWithTheReplicas(t *testing.T) {
	t.Parallel()
	client, asked := counting(t)
	s := newShopOf(t, client)
	s.live("1.0.0", 1)
	deploy := func(version string, replicas int) int {
		asked.since()
		s.must(s.DeployAndSwitch(t.Context(), s.release(version, replicas)))
		requests := asked.since()
		// The lease is renewed as long as it takes.
		requests = slices.DeleteFunc(requests, func(r string) bool { return strings.HasPrefix(r, "PUT "+leaseName(s.Deployment)) })
		t.Logf("%d replicas, %d requests: %q", replicas, len(requests), requests)
		return len(requests)
	}
	few, many := deploy("2.0.0", 2), deploy("3.0.0", 20)
	// The second deploy removes what the first one replaced.
	if many > few+8 {
		t.Errorf("2 replicas take %d requests, and 20 take %d", few, many)
	}
}
