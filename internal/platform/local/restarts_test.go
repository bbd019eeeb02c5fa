// SPDX-License-Identifier: MPL-2.0

//go:build unix

package local_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// restarts is how often the agent is restarted in each way. "make restarts" sets it to 100.
var restarts = flag.Int("restarts", 4, "how often TestRestartsUnderLoad restarts the agent in each way")

// The agent is restarted again and again under load, in several ways. Another agent that takes over
// is noticed by no client. After SIGTERM new connections may be refused until the next agent
// serves, but what is in flight goes on. How long nobody was answered is logged.
func TestRestartsUnderLoad(t *testing.T) {
	t.Parallel()
	t.Run("take-over", func(t *testing.T) {
		t.Parallel()
		s := newRestarted(t)
		clients := s.startClients(s.keepAlive, s.reconnect, s.callGRPC)
		streams := s.startClients(s.watchEvents, s.talk, s.watchGRPC)
		s.requireNone(s.restartRepeatedly(func() { agenttest.TakeOver(t, s.dir) }))
		clients.stop()
		streams.stop()
	})
	t.Run("SIGTERM", func(t *testing.T) {
		t.Parallel()
		s := newRestarted(t)
		streams := s.startClients(s.watchEvents, s.talk, s.watchGRPC)
		s.restartRepeatedly(func() { s.restartAfter(syscall.SIGTERM) })
		streams.stop()
	})
	t.Run("SIGKILL", func(t *testing.T) {
		t.Parallel()
		s := newRestarted(t)
		s.restartRepeatedly(func() { s.restartAfter(syscall.SIGKILL) })
	})
}

// restarted is a service whose agent is restarted.
type restarted struct {
	*service

	url string
}

func newRestarted(t *testing.T) *restarted {
	t.Helper()
	s := newService(t, local.Frontend{DrainTimeout: longTimeout})
	s.deployLive("1.0.0", 2)
	// The agent that the provider has started is started again by itself when it is killed.
	agenttest.TakeOver(t, s.dir)
	return &restarted{s, s.endpoint()}
}

// restartRepeatedly restarts the agent, with an upload in flight each time but when it is killed,
// and logs how long no client was answered. It returns how many connections were refused. No replica
// may be restarted.
func (s *restarted) restartRepeatedly(restart func()) (refused int) {
	s.Helper()
	before := s.runs("green")
	probe := startProbe(s.Context(), s.url)
	var gaps []time.Duration
	for range *restarts {
		probe.awaitAnswer()
		probe.takeLongest()
		var upload *pendingRequest
		if !strings.Contains(s.Name(), "SIGKILL") {
			upload = s.startRequest()
		}
		restart()
		probe.awaitAnswer()
		gaps = append(gaps, probe.takeLongest())
		if upload != nil {
			s.must(upload.finish())
		}
	}
	refused = probe.stop()
	slices.Sort(gaps)
	s.Logf("%d restarts: the longest time without an answer was %s (p50), %s (max); %d connections were refused",
		len(gaps), gaps[len(gaps)/2], gaps[len(gaps)-1], refused)
	if after := s.runs("green"); !slices.Equal(before, after) {
		s.Errorf("the replicas were %v and are %v", before, after)
	}
	return refused
}

// requireNone fails the test if connections were refused.
func (s *restarted) requireNone(refused int) {
	s.Helper()
	if refused > 0 {
		s.Errorf("%d connections were refused", refused)
	}
}

// restartAfter ends the agent with a signal and starts the next one at the same moment. That one
// ends at once if the former one has not heard of the signal yet and still answers. It is then
// started again, as the provider does.
func (s *restarted) restartAfter(signal syscall.Signal) {
	s.Helper()
	s.must(syscall.Kill(agenttest.PID(s, s.dir), signal))
	for {
		next, ended := agenttest.Start(s, s.dir)
		over := make(chan struct{})
		go func() {
			defer close(over)
			_, _ = ended()
		}()
		if agenttest.AwaitAgentOrEnd(s, s.dir, next, over) {
			return
		}
	}
}

// probe is a client that connects and asks again and again.
type probe struct {
	cancel context.CancelFunc
	ended  chan struct{}

	mu       sync.Mutex
	answered chan struct{}
	last     time.Time
	longest  time.Duration
	refused  int
}

func startProbe(ctx context.Context, url string) *probe {
	ctx, cancel := context.WithCancel(ctx)
	p := &probe{cancel: cancel, ended: make(chan struct{}), answered: make(chan struct{}), last: time.Now()}
	visitor := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	go func() {
		defer close(p.ended)
		for ctx.Err() == nil {
			p.note(visit(ctx, visitor, http.MethodGet, url, nil))
		}
	}()
	return p
}

func (p *probe) note(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			p.refused++
		}
		return
	}
	p.longest, p.last = max(p.longest, time.Since(p.last)), time.Now()
	close(p.answered)
	p.answered = make(chan struct{})
}

// awaitAnswer waits for one more answer to a request that has yet to be made.
func (p *probe) awaitAnswer() {
	for range 2 {
		p.mu.Lock()
		answered := p.answered
		p.mu.Unlock()
		<-answered
	}
}

// takeLongest returns the longest time without an answer since it was last called.
func (p *probe) takeLongest() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	longest := p.longest
	p.longest = 0
	return longest
}

func (p *probe) stop() (refused int) {
	p.cancel()
	<-p.ended
	return p.refused
}

// visit makes a request and reads the answer.
func visit(ctx context.Context, visitor *http.Client, method, url string, body io.Reader) error {
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	response, err := visitor.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && (response.StatusCode != http.StatusOK || string(answer) != "1.0.0") {
		err = fmt.Errorf("%s: %q", response.Status, answer)
	}
	return err
}

// clients are visitors of a service, each of which may see no error.
type clients struct {
	s      *restarted
	cancel context.CancelFunc
	ended  []chan error
}

// startClients starts clients that do nothing but visit until their context ends. Each calls
// begun once it has been answered.
func (s *restarted) startClients(visits ...func(ctx context.Context, begun func()) error) *clients {
	s.Helper()
	ctx, cancel := context.WithCancel(s.Context())
	c := &clients{s: s, cancel: cancel}
	for _, visit := range visits {
		begun, ended := make(chan struct{}), make(chan error, 1)
		c.ended = append(c.ended, ended)
		go func() { ended <- visit(ctx, sync.OnceFunc(func() { close(begun) })) }()
		select {
		case <-begun:
		case err := <-ended:
			s.Fatal(err)
		}
	}
	return c
}

func (c *clients) stop() {
	c.s.Helper()
	c.cancel()
	for _, ended := range c.ended {
		if err := <-ended; err != nil {
			c.s.Error(err)
		}
	}
}

// keepAlive asks on one connection for as long as that is kept. A request with a body of unknown
// length is never sent twice.
func (s *restarted) keepAlive(ctx context.Context, begun func()) error {
	return s.visitRepeatedly(ctx, "on a connection that is kept", &http.Transport{}, begun)
}

// reconnect connects for every request.
func (s *restarted) reconnect(ctx context.Context, begun func()) error {
	return s.visitRepeatedly(ctx, "on a new connection", &http.Transport{DisableKeepAlives: true}, begun)
}

func (s *restarted) visitRepeatedly(
	ctx context.Context, how string, transport *http.Transport, begun func(),
) error {
	defer transport.CloseIdleConnections()
	for ctx.Err() == nil {
		body := io.MultiReader(strings.NewReader("x"))
		err := visit(context.WithoutCancel(ctx), &http.Client{Transport: transport}, http.MethodPost, s.url, body)
		if err != nil {
			return fmt.Errorf("a request %s: %w", how, err)
		}
		begun()
	}
	return nil
}

// watchEvents reads one stream of events.
func (s *restarted) watchEvents(ctx context.Context, begun func()) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/events", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for n := 0; lines.Scan() && lines.Text() == fmt.Sprintf("data: %d", n) && lines.Scan(); n++ {
		begun()
	}
	if ctx.Err() == nil {
		return fmt.Errorf("the stream of events ends after %q, %w", lines.Text(), lines.Err())
	}
	return nil
}

// talk sends and receives on one WebSocket.
func (s *restarted) talk(ctx context.Context, begun func()) error {
	conn, response, err := websocket.Dial(ctx, s.url+"/ws", &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		return fmt.Errorf("WebSocket: %w", err)
	}
	if response.Body != nil {
		response.Body.Close()
	}
	defer func() { _ = conn.CloseNow() }()
	for ctx.Err() == nil {
		err := conn.Write(context.WithoutCancel(ctx), websocket.MessageText, []byte("hello"))
		if err == nil {
			_, _, err = conn.Read(context.WithoutCancel(ctx))
		}
		if err != nil {
			return fmt.Errorf("WebSocket: %w", err)
		}
		begun()
	}
	return nil
}

// grpcHealth returns a client of the health service.
func (s *restarted) grpcHealth() (_ healthpb.HealthClient, end func(), err error) {
	address := strings.TrimPrefix(s.url, "http://")
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, nil, err
	}
	// An error says that it is closed already.
	return healthpb.NewHealthClient(conn), func() { _ = conn.Close() }, nil
}

// callGRPC makes one call after the other.
func (s *restarted) callGRPC(ctx context.Context, begun func()) error {
	health, end, err := s.grpcHealth()
	if err != nil {
		return err
	}
	defer end()
	for ctx.Err() == nil {
		if _, err := health.Check(context.WithoutCancel(ctx), &healthpb.HealthCheckRequest{}); err != nil {
			return fmt.Errorf("a call of gRPC: %w", err)
		}
		begun()
	}
	return nil
}

// watchGRPC keeps one stream of gRPC open.
func (s *restarted) watchGRPC(ctx context.Context, begun func()) error {
	health, end, err := s.grpcHealth()
	if err != nil {
		return err
	}
	defer end()
	watch, err := health.Watch(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		return fmt.Errorf("a stream of gRPC: %w", err)
	}
	for {
		if _, err := watch.Recv(); ctx.Err() != nil {
			return nil
		} else if err != nil {
			return fmt.Errorf("a stream of gRPC: %w", err)
		}
		begun()
	}
}
