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

// crowd is eight clients that keep their connection and four that open one for
// each request.
type crowd struct {
	testing.TB
	stopping chan struct{}
	clients  sync.WaitGroup
	requests atomic.Int64

	mu       sync.Mutex
	failures []string
}

// pace is the time between two requests of a client.
const pace = 5 * time.Millisecond

func startCrowd(t testing.TB, url string) *crowd {
	c := &crowd{TB: t, stopping: make(chan struct{})}
	for range 8 {
		c.clients.Go(func() { c.ask(url, false) })
	}
	for range 4 {
		c.clients.Go(func() { c.ask(url, true) })
	}
	return c
}

func (c *crowd) ask(url string, afresh bool) {
	transport := &http.Transport{DisableKeepAlives: afresh}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	ticker := time.NewTicker(pace)
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

// stop ends the crowd and fails the test if a request failed.
func (c *crowd) stop(during string) {
	c.Helper()
	close(c.stopping)
	c.clients.Wait()
	if n := len(c.failures); n > 0 {
		c.Errorf("%s: %d of %d requests failed, the first one %s", during, n, c.requests.Load(), c.failures[0])
	}
	c.Logf("%s: %d requests, %d failed", during, c.requests.Load(), len(c.failures))
}
