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

// loadGenerator is eight clients that keep their connection and four that open one for
// each request.
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
	c := &loadGenerator{TB: t, stopping: make(chan struct{})}
	for range 8 {
		c.clients.Go(func() { c.ask(url, false) })
	}
	for range 4 {
		c.clients.Go(func() { c.ask(url, true) })
	}
	return c
}

func (c *loadGenerator) ask(url string, newConnection bool) {
	transport := &http.Transport{DisableKeepAlives: newConnection}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	ticker := time.NewTicker(requestInterval)
	defer ticker.Stop()
	for {
		select {
		case <-c.stopping:
			return
		case <-ticker.C:
		}
		c.requests.Add(1)
		if err := request(client, url); err != nil {
			c.mu.Lock()
			c.failures = append(c.failures, fmt.Sprintf("%s: %v", time.Now().Format(time.StampMilli), err))
			c.mu.Unlock()
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

// stop ends the loadGenerator and fails the test if a request failed.
func (c *loadGenerator) stop(during string) {
	c.Helper()
	close(c.stopping)
	c.clients.Wait()
	if n := len(c.failures); n > 0 {
		c.Errorf("%s: %d of %d requests failed, the first one %s", during, n, c.requests.Load(), c.failures[0])
	}
	c.Logf("%s: %d requests, %d failed", during, c.requests.Load(), len(c.failures))
}
