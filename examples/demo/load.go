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
	// pace makes the clients send about 500 requests a second together.
	pace           = 16 * time.Millisecond
	requestTimeout = 5 * time.Second
)

// answer is which release answered a request.
type answer struct {
	Version     string `json:"version"`
	Environment string `json:"environment"`
}

// tally is what came of some requests.
type tally struct {
	requests int
	failures int
	slowest  time.Duration
	// cause is why the last of the failures failed.
	cause error
}

func (t *tally) count(took time.Duration, err error) {
	t.requests++
	t.slowest = max(t.slowest, took)
	if err != nil {
		t.failures++
		t.cause = err
	}
}

// load is a steady stream of requests by clients of both kinds: those that keep
// their connection, and those that make a new one for every request.
type load struct {
	url     string
	stopped chan struct{}
	once    sync.Once
	clients sync.WaitGroup

	mu    sync.Mutex
	total tally
	// scene is the tally since the last cut.
	scene tally
	// latest is the answer to the request on a new connection that began last, of
	// those answered: on Kubernetes a connection that is kept may stay with the
	// release before for a while.
	latest      answer
	latestBegan time.Time
}

// client is one of the service's.
type client struct {
	http.Client
	// keepsAlive says that it keeps its connection.
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
		l.clients.Go(func() { l.send(newClient(i < keepAliveClients)) })
	}
	return l
}

// stop ends the load once the requests in flight are answered: cutting them
// short would look like failures of the service. It may be called again.
func (l *load) stop() {
	l.once.Do(func() { close(l.stopped) })
	l.clients.Wait()
}

// send makes one client ask at its pace. A client that waits for an answer
// sends nothing meanwhile.
func (l *load) send(client *client) {
	defer client.CloseIdleConnections()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		select {
		case <-l.stopped:
			return
		case <-tick.C:
			_, _ = l.ask(client) // It is counted.
		}
	}
}

// ask sends one request and counts what came of it.
func (l *load) ask(client *client) (answer, error) {
	began := time.Now()
	got, err := get(&client.Client, l.url)
	took := time.Since(began)

	l.mu.Lock()
	defer l.mu.Unlock()
	l.total.count(took, err)
	l.scene.count(took, err)
	if err == nil && !client.keepsAlive && began.After(l.latestBegan) {
		l.latest, l.latestBegan = got, began
	}
	return got, err
}

// askAnew sends one request on a new connection.
func (l *load) askAnew() (answer, error) { return l.ask(newClient(false)) }

// now returns which release answers and the tally so far.
func (l *load) now() (answer, tally) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.latest, l.total
}

// cut returns the tally since the last cut.
func (l *load) cut() tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	scene := l.scene
	l.scene = tally{}
	return scene
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
