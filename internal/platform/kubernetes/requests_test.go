// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// requestCounter counts the requests to the cluster.
type requestCounter struct {
	next http.RoundTripper

	mu       sync.Mutex
	requests []string
}

func (c *requestCounter) RoundTrip(request *http.Request) (*http.Response, error) {
	c.mu.Lock()
	what := request.Method + " " + request.URL.Path[strings.LastIndex(request.URL.Path, "/")+1:]
	if request.URL.Query().Get("watch") != "" {
		what = "WATCH" + strings.TrimPrefix(what, http.MethodGet)
	}
	c.requests = append(c.requests, what)
	c.mu.Unlock()
	return c.next.RoundTrip(request)
}

// take returns the requests since the last call.
func (c *requestCounter) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	requests := c.requests
	c.requests = nil
	return requests
}

// newCountingClient returns a client of its own whose requests are counted.
func newCountingClient(t testing.TB) (*Client, *requestCounter) {
	t.Helper()
	c := &requestCounter{}
	config := adminConfig(sharedCluster.Cluster)
	config.WrapTransport = func(next http.RoundTripper) http.RoundTripper {
		c.next = next
		return c
	}
	client := NewClient(config)
	t.Cleanup(client.Close)
	return client, c
}

// WrappedRoundTripper lets the connections be closed.
func (c *requestCounter) WrappedRoundTripper() http.RoundTripper { return c.next }

// A refresh reads both Services and one list of Deployments.
func TestClusterRefreshIsOneRead(t *testing.T) {
	t.Parallel()
	client, counter := newCountingClient(t)
	h := newHarnessWithClient(t, client)
	h.makeLive("1.0.0", 2)
	h.makeLive("2.0.0", 2)
	counter.take()
	status, err := h.Status(t.Context())
	h.must(err)
	got := counter.take()
	slices.Sort(got)
	want := []string{"GET deployments", "GET " + h.Deployment, "GET " + previewName(h.Deployment)}
	if !slices.Equal(got, want) {
		t.Errorf("a refresh sends %q, want %q", got, want)
	}
	isAtService := strings.HasPrefix(status.Endpoint, h.Deployment+"."+h.Namespace+".svc:")
	if status.Running["blue"] != 2 || status.Running["green"] != 2 || !isAtService {
		t.Errorf("the status is %+v", status)
	}
}

// The requests of a deploy do not grow with the replicas. Probes go through tunnels,
// which are not counted here.
func TestClusterRequestsDoNotGrowWithTheReplicas(t *testing.T) {
	t.Parallel()
	client, counter := newCountingClient(t)
	h := newHarnessWithClient(t, client)
	h.makeLive("1.0.0", 1)
	deploy := func(version string, replicas int) int {
		counter.take()
		h.must(h.DeployAndSwitch(t.Context(), h.release(version, replicas)))
		requests := counter.take()
		// The lease is renewed as long as it takes.
		requests = slices.DeleteFunc(requests, func(request string) bool {
			return strings.HasPrefix(request, "PUT "+leaseName(h.Deployment))
		})
		t.Logf("%d replicas, %d requests: %q", replicas, len(requests), requests)
		return len(requests)
	}
	few, many := deploy("2.0.0", 2), deploy("3.0.0", 20)
	// The second deploy removes what the first one replaced.
	if many > few+8 {
		t.Errorf("2 replicas take %d requests, and 20 take %d", few, many)
	}
}
