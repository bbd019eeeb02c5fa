// SPDX-License-Identifier: MPL-2.0

//go:build unix

package local_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// Another agent takes over while clients are connected: the same processes serve, and nothing is
// refused or cut. The next apply does not wait for the streams that the former agent still has.
// What it switches holds for those clients too, and what they use is not stopped under them.
func TestAnotherAgentTakesOverWhileItsReplicasServe(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{DrainTimeout: longTimeout})
	s.deployLive("1.0.0", 2)
	s.deployLive("2.0.0", 2)
	live, standby := s.runs(bluegreen.Blue), s.runs(bluegreen.Green)
	upload, socket := s.startRequest(), s.webSocket()

	former := agenttest.TakeOver(t, s.dir)
	if got := s.runs(bluegreen.Blue); !slices.Equal(got, live) {
		t.Errorf("live ran as %v and runs as %v", live, got)
	}
	s.expectVersion("2.0.0")
	s.must(s.Rollback(t.Context(), "to see that the standby is alive"))
	s.expectVersion("1.0.0")
	if got := s.runs(bluegreen.Green); !slices.Equal(got, standby) {
		t.Errorf("the standby ran as %v and serves as %v", standby, got)
	}
	s.must(socket.Write(t.Context(), websocket.MessageText, []byte("still there?")))
	if _, answer, err := socket.Read(t.Context()); err != nil || string(answer) != "still there?" {
		t.Errorf("the WebSocket says %q, %v", answer, err)
	}

	deployed := make(chan error, 1)
	go func() { deployed <- s.DeployAndSwitch(t.Context(), agenttest.Release(t, "3.0.0", agenttest.Healthy)) }()
	select {
	case err := <-deployed:
		t.Errorf("replicas with requests in flight were replaced: %v", err)
	case <-time.After(500 * time.Millisecond):
	}
	s.must(upload.finish())
	s.must(socket.Close(websocket.StatusNormalClosure, ""))
	s.must(<-deployed)
	s.expectVersion("3.0.0")
	agenttest.AwaitExit(t, former)
}

// What is still in flight when its time is over is cut, and the former agent ends.
func TestFormerAgentEndsWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{DrainTimeout: 50 * time.Millisecond})
	s.deployLive("1.0.0", 1)
	upload := s.startRequest()
	former := agenttest.TakeOver(t, s.dir)
	agenttest.AwaitExit(t, former)
	if err := upload.finish(); err == nil {
		t.Error("the former agent has ended, and an upload through it goes on")
	}
	s.expectVersion("1.0.0")
}

// keptConnection is a connection of one client, which keeps it between two requests.
type keptConnection struct {
	conn    net.Conn
	answers *bufio.Reader
}

// connect returns a connection that has had one answer, and is idle since then.
func (s *service) connect() *keptConnection {
	s.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.endpoint(), "http://"))
	s.must(err)
	s.Cleanup(func() { conn.Close() })
	kept := &keptConnection{conn, bufio.NewReader(conn)}
	_, err = kept.ask()
	s.must(err)
	return kept
}

// ask returns the answer to another request on the same connection.
func (k *keptConnection) ask() (string, error) {
	if _, err := io.WriteString(k.conn, "GET / HTTP/1.1\r\nHost: web\r\n\r\n"); err != nil {
		return "", err
	}
	response, err := http.ReadResponse(k.answers, nil)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// A client that keeps its connection to the former agent is moved by a switch like all others:
// by a rollback, and by a deploy to replicas that the former agent has never started.
func TestSwitchMovesTheClientsOfTheFormerAgent(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]struct {
		make func(*service) error
		want string
	}{
		"a rollback": {func(s *service) error { return s.Rollback(s.Context(), "while a client is idle") }, "1.0.0"},
		"a deploy": {func(s *service) error {
			return s.DeployAndSwitch(s.Context(), agenttest.Release(s, "3.0.0", agenttest.Healthy))
		}, "3.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, local.Frontend{DrainTimeout: longTimeout})
			s.deployLive("1.0.0", 1)
			s.deployLive("2.0.0", 1)
			kept := s.connect()
			agenttest.TakeOver(t, s.dir)
			s.must(change.make(s))
			if answer, err := kept.ask(); err != nil || answer != change.want {
				t.Errorf("it is answered %q, %v", answer, err)
			}
		})
	}
}

// A replica that dies around a take-over is started again by the agent that comes next, once.
func TestReplicaThatDiesDuringATakeOverComesBack(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 2)
	before := s.runs(bluegreen.Green)
	s.crash(s.instances(bluegreen.Green)[0])
	agenttest.TakeOver(t, s.dir)
	s.awaitRestart(before)

	before = s.runs(bluegreen.Green)
	s.crash(s.instances(bluegreen.Green)[1])
	s.awaitRestart(before)
	s.expectVersion("1.0.0")
}

// An agent that fails before it serves leaves everything to the one that is there.
func TestAgentThatCannotTakeOverChangesNothing(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 2)
	taken := agenttest.FreeAddress(t)
	agenttest.Occupy(t, taken)
	before, pid := s.runs(bluegreen.Green), agenttest.PID(t, s.dir)
	_, ended := agenttest.Start(t, s.dir, "-take-over", "-metrics-listen", taken)
	if output, err := ended(); err == nil || !strings.Contains(output, "address already in use") {
		t.Errorf("it ended with %v: %s", err, output)
	}
	if now := agenttest.PID(t, s.dir); now != pid {
		t.Errorf("process %d served, and now %d", pid, now)
	}
	if after := s.runs(bluegreen.Green); !slices.Equal(before, after) {
		t.Errorf("the replicas were %v and are %v", before, after)
	}
	s.crash(s.instances(bluegreen.Green)[0])
	s.awaitRestart(before)
	s.deployLive("2.0.0", 1)
}

// An agent that serves its metrics at an address hands that over too. What is in flight finishes.
func TestAgentWithMetricsFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{DrainTimeout: longTimeout})
	s.deployLive("1.0.0", 1)
	metrics := agenttest.FreeAddress(t)
	first, _ := agenttest.Start(t, s.dir, "-take-over", "-metrics-listen", metrics)
	agenttest.AwaitAgent(t, s.dir, first)
	stream := s.startRequest()
	second, _ := agenttest.Start(t, s.dir, "-take-over", "-metrics-listen", metrics)
	agenttest.AwaitAgent(t, s.dir, second)
	scraped, err := client.Get("http://" + metrics + "/metrics")
	s.must(err)
	s.must(scraped.Body.Close())
	if scraped.StatusCode != http.StatusOK {
		t.Errorf("the metrics are answered with %s", scraped.Status)
	}
	s.must(stream.finish())
	agenttest.AwaitExit(t, first)
	if log := agenttest.Log(t, s.dir); strings.Contains(log, "the agent failed") {
		t.Errorf("the agent's log:\n%s", log)
	}
}

// An agent that is stopped makes room for the next one at once, while a client's stream goes on.
func TestNextAgentServesWhileAStoppedOneFinishes(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{DrainTimeout: longTimeout})
	s.deployLive("1.0.0", 2)
	s.deployLive("2.0.0", 1)
	live := s.runs(bluegreen.Blue)
	stream, former := s.startRequest(), agenttest.PID(t, s.dir)
	s.must(syscall.Kill(former, syscall.SIGTERM))
	agenttest.AwaitEnd(t, s.dir)
	s.ensureAgent()
	s.expectVersion("2.0.0")
	if got := s.runs(bluegreen.Blue); !slices.Equal(got, live) {
		t.Errorf("live ran as %v and runs as %v", live, got)
	}
	// The stream holds its replica, and nothing else waits for it.
	s.must(s.Rollback(t.Context(), "while the former agent has a stream"))
	deployed := make(chan error, 1)
	go func() { deployed <- s.DeployAndSwitch(t.Context(), agenttest.Release(t, "3.0.0", agenttest.Healthy)) }()
	select {
	case err := <-deployed:
		t.Errorf("a replica with a request in flight was replaced: %v", err)
	case <-time.After(500 * time.Millisecond):
	}
	s.must(stream.finish())
	s.must(<-deployed)
	s.expectVersion("3.0.0")
	agenttest.AwaitExit(t, former)
}
