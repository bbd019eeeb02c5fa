// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// loadGenerator runs eight clients that keep their connection, and four that open a new
// connection for each request.
type loadGenerator struct {
	testing.TB
	stopping chan struct{}
	clients  sync.WaitGroup
	requests atomic.Int64

	mu       sync.Mutex
	failures []string
}

// requestInterval is the time between two requests of a client.
const requestInterval = 5 * time.Millisecond

func startLoad(t testing.TB, url string) *loadGenerator {
	g := &loadGenerator{TB: t, stopping: make(chan struct{})}
	for range 8 {
		g.clients.Go(func() { g.run(url, false) })
	}
	for range 4 {
		g.clients.Go(func() { g.run(url, true) })
	}
	return g
}

func (g *loadGenerator) run(url string, newConnection bool) {
	transport := &http.Transport{DisableKeepAlives: newConnection}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	ticker := time.NewTicker(requestInterval)
	defer ticker.Stop()
	for {
		select {
		case <-g.stopping:
			return
		case <-ticker.C:
		}
		g.requests.Add(1)
		if err := request(client, url); err != nil {
			g.mu.Lock()
			g.failures = append(g.failures, fmt.Sprintf("%s: %v", time.Now().Format(time.StampMilli), err))
			g.mu.Unlock()
		}
	}
}

func request(client *http.Client, url string) error {
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %s", response.Status)
	}
	return nil
}

// stop ends the load and fails the test if a request failed.
func (g *loadGenerator) stop(during string) {
	g.Helper()
	close(g.stopping)
	g.clients.Wait()
	if n := len(g.failures); n > 0 {
		g.Errorf("%s: %d of %d requests failed, the first one %s", during, n, g.requests.Load(), g.failures[0])
	}
	g.Logf("%s: %d requests, %d failed", during, g.requests.Load(), len(g.failures))
}
