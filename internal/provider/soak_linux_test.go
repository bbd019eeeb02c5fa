// SPDX-License-Identifier: MPL-2.0

//go:build soak

package provider

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"
)

var soakTime = flag.Duration("soak", time.Hour, "how long the soak runs")

const (
	// soakReplicas is the size of every release.
	soakReplicas = 4
	// soakClients send requests all the time, half of them over connections that are kept.
	soakClients = 4
	// soakPause is the pause of a client between two requests.
	soakPause = 20 * time.Millisecond
	// clientTimeout is how long a client waits for an answer.
	clientTimeout = 2 * time.Second
	// noticed is the longest time from an illness until no client sees it any more: two
	// probes a second apart, the timeout of the last one, and that of a client.
	noticed = 2*time.Second + time.Second + clientTimeout
)

// soakCheck is the health check of the soak.
var soakCheck = attributes{
	"replicas":  strconv.Itoa(soakReplicas),
	"bake_time": `"3s"`,
	"health_check": `{ http = { path = "/healthz" }, interval = "1s", probe_timeout = "1s", timeout = "10s", ` +
		`unhealthy_threshold = 2 }`,
}

// TestSoak runs random applies and faults under load. Every request that fails must have
// one of the causes that the README allows: a replica that was killed, hangs or is ill, or
// an agent that was killed, and that not for longer than it takes to notice it.
//
// `make soak` runs it for an hour.
func TestSoak(t *testing.T) {
	h := newLocalHarness(t)
	s := &soak{h: h, tf: h.terraform(), begun: time.Now(), causes: map[string]int{}, operations: map[string]int{}}
	s.apply("create")
	load := s.startLoad()
	for time.Since(s.begun) < *soakTime && !t.Failed() {
		fault := s.faults()[rand.IntN(len(s.faults()))]
		operation := s.operationNames()[rand.IntN(len(s.operationNames()))]
		injected, over := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(over)
			time.Sleep(time.Duration(rand.IntN(3000)) * time.Millisecond)
			awaitEnd := s.inject(fault)
			close(injected)
			awaitEnd()
		}()
		s.operate(operation)
		<-injected
		// What a fault has left is repaired before the next one.
		s.apply("repair")
		<-over
		s.mustServe()
	}
	load()
	s.report()
}

// mustServe fails the test unless the release serves that was applied last. A replica that
// has just fallen ill may answer until it is noticed.
func (s *soak) mustServe() {
	s.h.t.Helper()
	_, err := backoff.Retry(s.h.t.Context(), func() (struct{}, error) {
		return struct{}{}, s.h.answered(s.h.t.Context(), s.h.status().Endpoint, s.version)
	}, backoff.WithBackOff(backoff.NewConstantBackOff(pollInterval)), backoff.WithMaxElapsedTime(noticed))
	if err != nil {
		s.h.t.Errorf("%s: %v", time.Since(s.begun).Round(time.Millisecond), err)
	}
}

// soak is a deployment under load, and what its clients have seen.
type soak struct {
	h     localHarness
	tf    *cli
	begun time.Time
	// endpoint is where clients send requests.
	endpoint string
	// releases counts the releases so far, and version is the one that serves.
	releases int
	version  string
	// config is what was applied last.
	config []attributes

	mu         sync.Mutex
	requests   int
	causes     map[string]int
	operations map[string]int
	// faulty are the times in which requests may fail, each with its cause.
	faulty []faultyTime
	failed []failedRequest
}

type faultyTime struct {
	cause      string
	begin, end time.Time
}

type failedRequest struct {
	at  time.Time
	err error
}

// release returns the configuration of a new release.
func (s *soak) release(more ...attributes) []attributes {
	s.releases++
	return append([]attributes{soakCheck, version(fmt.Sprintf("1.%d.0", s.releases))}, more...)
}

// apply applies the last configuration again, or the first one.
func (s *soak) apply(name string) {
	if s.config == nil {
		s.config = s.release()
		s.version = fmt.Sprintf("1.%d.0", s.releases)
	}
	s.operations[name]++
	s.tf.write(s.h.config(s.config...))
	output, err := s.startApply().wait()
	if isHeld(output) {
		// The way forward after a rollback failed its watch, because of a fault. The next
		// release ends the hold.
		s.config = s.release()
		s.version = fmt.Sprintf("1.%d.0", s.releases)
		s.tf.write(s.h.config(s.config...))
		output, err = s.startApply().wait()
	}
	if err != nil {
		s.h.t.Fatalf("the apply of %q failed:\n%s", name, output)
	}
}

// startApply starts an apply of what is configured.
func (s *soak) startApply() *process {
	return s.tf.start(s.h.t.Context(), "apply", "-auto-approve")
}

func (s *soak) operationNames() []string {
	return []string{"deploy", "deploy", "unhealthy release", "rollback and forward", "scale", "nothing"}
}

// operate runs an operation. A fault may come meanwhile, so that the apply may fail: the
// next one must not.
func (s *soak) operate(name string) {
	s.h.t.Helper()
	s.operations[name]++
	s.h.t.Logf("%s: %s", time.Since(s.begun).Round(time.Millisecond), name)
	try := func(config []attributes) bool {
		s.tf.write(s.h.config(config...))
		_, err := s.startApply().wait()
		return err == nil
	}
	switch name {
	case "deploy":
		config := s.release()
		try(config)
		s.converge(config)
	case "unhealthy release":
		try(s.release(behaving(unhealthy)))
	case "rollback and forward":
		back := append(slices.Clone(s.config), rollback(true))
		if try(back) {
			try(s.config)
		}
	case "scale":
		bigger := append(slices.Clone(s.config), attributes{"replicas": strconv.Itoa(soakReplicas + 1)})
		try(bigger)
	case "nothing":
		s.tf.write(s.h.config(s.config...))
	}
}

// converge makes config what is configured from now on, if the watch did not take its
// release back because of a fault.
func (s *soak) converge(config []attributes) {
	s.tf.write(s.h.config(config...))
	output, err := s.startApply().wait()
	switch {
	case err == nil:
		s.config, s.version = config, fmt.Sprintf("1.%d.0", s.releases)
	case isHeld(output):
	default:
		s.h.t.Errorf("the apply after a fault failed:\n%s", output)
	}
}

// isHeld reports whether a plan was refused because the watch took the release back.
func isHeld(output string) bool { return strings.Contains(output, "is not deployed again") }

func (s *soak) faults() []string {
	return []string{"replica killed", "replica hangs", "replica ill", "agent killed", "provider killed", "none"}
}

// inject brings a fault about, and notes until when requests may fail because of it. For a
// fault that lasts until an apply ends it, awaitEnd does.
func (s *soak) inject(fault string) (awaitEnd func()) {
	awaitEnd = func() {}
	s.mu.Lock()
	s.operations["fault: "+fault]++
	s.mu.Unlock()
	s.h.t.Logf("%s: fault: %s", time.Since(s.begun).Round(time.Millisecond), fault)
	begin := time.Now()
	replicas := s.h.replicas()
	if len(replicas) == 0 {
		return awaitEnd
	}
	pid, _ := strconv.Atoi(replicas[rand.IntN(len(replicas))])
	switch fault {
	case "replica killed":
		_ = syscall.Kill(pid, syscall.SIGKILL)
		s.allow(fault, begin, clientTimeout)
	case "replica hangs":
		_ = syscall.Kill(pid, syscall.SIGSTOP)
		time.Sleep(5 * time.Second)
		_ = syscall.Kill(pid, syscall.SIGCONT)
		s.allow(fault, begin, noticed)
	case "replica ill":
		if address := addressOf(pid); address != "" {
			if response, err := http.Post("http://"+address+"/fail", "", nil); err == nil {
				response.Body.Close()
			}
		}
		s.allow(fault, begin, noticed)
	case "agent killed":
		s.killAgent()
		return func() {
			s.awaitAgent()
			s.allow(fault, begin, clientTimeout)
		}
	case "provider killed":
		for _, child := range childrenOf(s.h.t, os.Getpid()) {
			for _, provider := range childrenOf(s.h.t, child) {
				_ = syscall.Kill(provider, syscall.SIGKILL)
			}
		}
	}
	return awaitEnd
}

// allow notes that requests may fail from begin until so long from now.
func (s *soak) allow(cause string, begin time.Time, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faulty = append(s.faulty, faultyTime{cause, begin, time.Now().Add(d)})
}

// killAgent returns once the agent is dead.
func (s *soak) killAgent() {
	pid := s.h.agentPID()
	if agent, err := strconv.Atoi(pid); err == nil {
		_ = syscall.Kill(agent, syscall.SIGKILL)
	}
	for pid != "" && s.h.agentPID() == pid {
		time.Sleep(pollInterval)
	}
}

// awaitAgent returns once an agent answers again. The next apply starts it. A connection
// alone does not show that: one to a free port of this range may be a connection to itself.
func (s *soak) awaitAgent() {
	client := &http.Client{Timeout: clientTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	for s.h.t.Context().Err() == nil {
		if response, err := client.Get(s.endpoint); err == nil {
			response.Body.Close()
			return
		}
		time.Sleep(pollInterval)
	}
}

// addressOf returns where a replica listens.
func addressOf(pid int) string {
	environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	variables := map[string]string{}
	for variable := range strings.SplitSeq(string(environ), "\x00") {
		name, value, _ := strings.Cut(variable, "=")
		variables[name] = value
	}
	if variables["PORT"] == "" {
		return ""
	}
	return net.JoinHostPort(variables["HOST"], variables["PORT"])
}

// startLoad has the clients send requests until the returned function is called.
func (s *soak) startLoad() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	endpoint := s.h.status().Endpoint
	s.endpoint = endpoint
	var clients sync.WaitGroup
	for n := range soakClients {
		client := &http.Client{Timeout: clientTimeout, Transport: &http.Transport{DisableKeepAlives: n%2 == 0}}
		clients.Go(func() {
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				s.request(ctx, client, endpoint)
				time.Sleep(soakPause)
			}
		})
	}
	return func() { cancel(); clients.Wait() }
}

func (s *soak) request(ctx context.Context, client *http.Client, endpoint string) {
	at := time.Now()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
	if err != nil {
		return
	}
	response, err := client.Do(request)
	if err == nil {
		var body []byte
		body, err = io.ReadAll(response.Body)
		response.Body.Close()
		if err == nil && (response.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), "1.")) {
			err = fmt.Errorf("%s: %q", response.Status, body)
		}
	}
	if errors.Is(err, context.Canceled) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if err != nil {
		s.failed = append(s.failed, failedRequest{at, err})
	}
}

// report gives each failure its cause, and prints the figures.
func (s *soak) report() {
	for _, failure := range s.failed {
		i := slices.IndexFunc(s.faulty, func(f faultyTime) bool {
			return !failure.at.Before(f.begin.Add(-clientTimeout)) && failure.at.Before(f.end)
		})
		if i < 0 {
			s.causes["no cause"]++
			s.h.t.Errorf("a request failed at %s without a cause: %v",
				failure.at.Sub(s.begun).Round(time.Millisecond), failure.err)
			continue
		}
		s.causes[s.faulty[i].cause]++
	}
	s.h.t.Logf("%s: %d requests, %d failed", time.Since(s.begun).Round(time.Second), s.requests, len(s.failed))
	for _, counts := range []map[string]int{s.causes, s.operations} {
		for _, name := range slices.Sorted(maps.Keys(counts)) {
			s.h.t.Logf("%6d %s", counts[name], name)
		}
	}
}
