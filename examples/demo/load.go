// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	keepAliveClients = 4
	newConnClients   = 4
	// requestInterval is the time between two requests of a client. All clients together
	// send about 500 requests in a second.
	requestInterval = 16 * time.Millisecond
	requestTimeout  = 5 * time.Second
)

// answer says which release answered a request.
type answer struct {
	Version     string `json:"version"`
	Environment string `json:"environment"`
}

// stats counts the results of requests.
type stats struct {
	requests int
	failures int
	slowest  time.Duration
	// cause is the error of the last failure.
	cause error
}

func (t *stats) count(took time.Duration, err error) {
	t.requests++
	t.slowest = max(t.slowest, took)
	if err != nil {
		t.failures++
		t.cause = err
	}
}

// load sends requests at a constant rate. Some of its clients keep their connection, and
// the others open one for every request.
type load struct {
	url     string
	stopped chan struct{}
	once    sync.Once
	clients sync.WaitGroup

	mu    sync.Mutex
	total stats
	// stepStats are the stats since the last call of takeStepStats.
	stepStats stats
	// latest is the answer to the newest request that was sent on a new connection and
	// answered. Requests on kept connections do not count, because on Kubernetes such a
	// connection may stay with the former release for a while.
	latest      answer
	latestBegan time.Time
}

// client is a client of the service.
type client struct {
	http.Client
	// keepsAlive says that the client keeps its connection.
	keepsAlive bool
}

func newClient(keepsAlive bool) *client {
	transport := &http.Transport{DisableKeepAlives: !keepsAlive}
	return &client{http.Client{Transport: transport, Timeout: requestTimeout}, keepsAlive}
}

// startLoad sends requests to url until stop is called.
func startLoad(url string) *load {
	l := &load{url: url, stopped: make(chan struct{})}
	for i := range keepAliveClients + newConnClients {
		l.clients.Go(func() { l.run(newClient(i < keepAliveClients)) })
	}
	return l
}

// stop ends the load. It waits for the requests in flight, because cutting them off would
// look like failures of the service. It may be called more than once.
func (l *load) stop() {
	l.once.Do(func() { close(l.stopped) })
	l.clients.Wait()
}

// run sends the requests of one client until the load is stopped. A client that waits for
// an answer sends no other request.
func (l *load) run(client *client) {
	defer client.CloseIdleConnections()
	tick := time.NewTicker(requestInterval)
	defer tick.Stop()
	for {
		select {
		case <-l.stopped:
			return
		case <-tick.C:
			_, _ = l.sendOne(client) // The stats count it.
		}
	}
}

// sendOne sends one request and counts its result.
func (l *load) sendOne(client *client) (answer, error) {
	began := time.Now()
	got, err := get(&client.Client, l.url)
	took := time.Since(began)

	l.mu.Lock()
	defer l.mu.Unlock()
	l.total.count(took, err)
	l.stepStats.count(took, err)
	if err == nil && !client.keepsAlive && began.After(l.latestBegan) {
		l.latest, l.latestBegan = got, began
	}
	return got, err
}

// sendOnNewConnection sends one request on a new connection.
func (l *load) sendOnNewConnection() (answer, error) { return l.sendOne(newClient(false)) }

// current returns which release answers, and the stats so far.
func (l *load) current() (answer, stats) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.latest, l.total
}

// takeStepStats returns the stats since its last call.
func (l *load) takeStepStats() stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	stepStats := l.stepStats
	l.stepStats = stats{}
	return stepStats
}

func get(client *http.Client, url string) (answer, error) {
	response, err := client.Get(url)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, fmt.Errorf("GET %s: the answer broke off: %w", url, err)
	}
	if response.StatusCode != http.StatusOK {
		return answer{}, fmt.Errorf("GET %s: %s", url, response.Status)
	}
	var got answer
	if err := json.Unmarshal(body, &got); err != nil {
		return answer{}, fmt.Errorf("GET %s: not an answer of the service: %w", url, err)
	}
	return got, nil
}
