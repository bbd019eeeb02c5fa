// SPDX-License-Identifier: MPL-2.0

//go:build unix

package local_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// The agent is killed under load, and the next one carries on with the same
// processes.
func TestSameProcessesServeAfterTheAgentIsKilled(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.live("1.0.0", 2)
	s.live("2.0.0", 2)
	endpoint, live, standby := s.endpoint(), s.runs(bluegreen.Blue), s.runs(bluegreen.Green)

	visitors := load(t, endpoint)
	agenttest.Kill(t, s.dir)
	if got := s.endpoint(); got != endpoint {
		t.Errorf("with no agent the endpoint is %s, want %s", got, endpoint)
	}
	for _, instance := range s.instances(bluegreen.Blue) {
		if instance.Running {
			t.Errorf("with no agent %s is said to run", instance.ID)
		}
	}
	s.wake()

	if got := s.endpoint(); got != endpoint {
		t.Errorf("the endpoint is %s, want %s", got, endpoint)
	}
	// The first may have been on its way when the agent was killed.
	visitors.awaitAnswer()
	visitors.awaitAnswer()
	if answers := visitors.answered(); len(answers) != 1 || answers["2.0.0"] == 0 {
		t.Errorf("clients were answered %v", answers)
	}
	if got := s.runs(bluegreen.Blue); !slices.Equal(got, live) {
		t.Errorf("live ran as %v and runs as %v", live, got)
	}
	s.must(s.Rollback(t.Context(), "to see that the standby is alive"))
	s.serves("1.0.0")
	if got := s.runs(bluegreen.Green); !slices.Equal(got, standby) {
		t.Errorf("the standby ran as %v and serves as %v", standby, got)
	}
}

// clients make requests one after the other without a pause.
type clients struct {
	stop    context.CancelFunc
	answers chan string
	count   map[string]int
}

// load begins to make requests, and returns when one has been answered.
func load(t *testing.T, endpoint string) *clients {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := &clients{stop: cancel, answers: make(chan string), count: map[string]int{}}
	go func() {
		defer close(c.answers)
		for ctx.Err() == nil {
			// Requests that are not answered do not count.
			if answer, err := ask(ctx, endpoint); err == nil {
				select {
				case c.answers <- answer:
				case <-ctx.Done():
				}
			}
		}
	}()
	c.awaitAnswer()
	return c
}

// awaitAnswer returns when one more request has been answered.
func (c *clients) awaitAnswer() { c.count[<-c.answers]++ }

// answered ends the load and returns how often each answer came.
func (c *clients) answered() map[string]int {
	c.stop()
	for answer := range c.answers {
		c.count[answer]++
	}
	return c.count
}

func ask(ctx context.Context, endpoint string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// wake makes sure that an agent runs, as every operation does first.
func (s *service) wake() {
	s.Helper()
	unlock, err := s.platform.Lock(s.Context(), s.Actor)
	s.must(err)
	unlock()
}

func TestReplicasOutliveAnAgentThatIsToldToEnd(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.live("1.0.0", 1)
	before := s.runs(bluegreen.Green)
	agenttest.Stop(t, s.dir)
	s.wake()
	s.serves("1.0.0")
	if after := s.runs(bluegreen.Green); !slices.Equal(before, after) {
		t.Errorf("the replica was %v and is %v", before, after)
	}
}

// A replica that dies while nobody watches is started again by the next agent,
// and one that dies later is noticed although another agent started it.
func TestDeadReplicasAreStartedAgain(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.live("1.0.0", 2)
	before := s.runs(bluegreen.Green)
	s.exit(s.instances(bluegreen.Green)[0])
	s.restarted(before, 1)

	before = s.runs(bluegreen.Green)
	agenttest.Kill(t, s.dir)
	s.wake()
	s.exit(s.instances(bluegreen.Green)[1])
	s.restarted(before, 1)
	s.serves("1.0.0")
}

// exit makes a replica end itself.
func (s *service) exit(instance bluegreen.Instance) {
	s.Helper()
	// It has no time to answer.
	_ = agenttest.Ask(s.Context(), s.platform, instance, "/exit")
}

// restarted waits until green runs as before but for n new processes.
func (s *service) restarted(before []string, n int) {
	s.Helper()
	agenttest.Eventually(s, func() error {
		renewed := 0
		for _, instance := range s.instances(bluegreen.Green) {
			if !instance.Running {
				return errors.New(instance.ID + " does not run: " + instance.Exit)
			}
			if !slices.Contains(before, instance.ID+" "+instance.Incarnation) {
				renewed++
			}
		}
		if renewed != n {
			return errors.New("not as many new processes as expected")
		}
		return nil
	})
}

func TestTwoProvidersThatStartTheAgentEndWithOne(t *testing.T) {
	t.Parallel()
	dir := agenttest.StateDir(t)
	var group sync.WaitGroup
	for _, name := range []string{"one", "two", "three", "four"} {
		s := newServiceIn(t, dir, name, local.Frontend{})
		group.Go(func() {
			unlock, err := s.platform.Lock(t.Context(), s.Actor)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			unlock()
		})
	}
	group.Wait()
	pid := agenttest.PID(t, dir)
	agenttest.Stop(t, dir)
	if left := agenttest.PID(t, dir); pid == 0 || left != 0 {
		t.Errorf("agent %d was stopped, and agent %d serves", pid, left)
	}
}

func TestReadingStartsNoAgent(t *testing.T) {
	t.Parallel()
	s := open(t, local.Options{StateDir: filepath.Join(t.TempDir(), "state"), Name: "web"})
	if _, err := s.platform.Load(t.Context()); !errors.Is(err, bluegreen.ErrNotFound) {
		t.Errorf("Load: %v, want ErrNotFound", err)
	}
	if _, err := s.platform.History(t.Context()); !errors.Is(err, bluegreen.ErrNotFound) {
		t.Errorf("History: %v, want ErrNotFound", err)
	}
	if got := s.instances(bluegreen.Blue); len(got) != 0 {
		t.Errorf("there are instances: %v", got)
	}
	if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the state directory was made: %v", err)
	}
}

func TestAgentLeavesSomeTimeAfterItsLastDeployment(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := agenttest.StateDir(t)
	s := open(t, local.Options{StateDir: dir, Name: "web", AgentCommand: []string{self, "agent", "-linger", "1ms"}})
	s.live("1.0.0", 1)
	s.must(s.Destroy(t.Context()))
	agenttest.Gone(t, dir)

	// It does not leave while somebody is at work, with or without a deployment.
	unlock, err := s.platform.Lock(t.Context(), s.Actor)
	s.must(err)
	s.must(s.platform.Commit(t.Context(), firstLedger(), nil))
	s.must(s.platform.Erase(t.Context()))
	s.must(s.platform.Commit(t.Context(), firstLedger(), nil))
	s.must(s.platform.Erase(t.Context()))
	unlock()
	agenttest.Gone(t, dir)
}

func firstLedger() bluegreen.Ledger {
	l := bluegreen.NewLedger("web")
	l.Generation, l.HistoryLimit = 1, 10
	return l
}

// The lock is a connection: it ends with the process that holds it.
func TestLockDiesWithItsProcess(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	holder := startHolder(t, s.dir, "web")
	_, err := s.platform.Lock(t.Context(), s.Actor)
	var held *bluegreen.HolderError
	if !errors.As(err, &held) || held.Holder.Name != "somebody@else" || held.Holder.Since.IsZero() {
		t.Fatalf("got %v, want who holds the lock", err)
	}
	holder.kill()
	agenttest.Eventually(t, func() error {
		unlock, err := s.platform.Lock(t.Context(), s.Actor)
		if err == nil {
			unlock()
		}
		return err
	})
}

func TestNothingChangesOnceTheLockIsLost(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	unlock, err := s.platform.Lock(t.Context(), s.Actor)
	s.must(err)
	defer unlock()
	s.must(s.platform.Commit(t.Context(), firstLedger(), nil))
	agenttest.Kill(t, s.dir)
	next := firstLedger()
	next.Generation = 2
	if err := s.platform.Commit(t.Context(), next, nil); !errors.Is(err, local.ErrLockLost) {
		t.Errorf("with no agent: %v, want ErrLockLost", err)
	}
	other := open(t, local.Options{StateDir: s.dir, Name: "other"})
	other.wake()
	if err := s.platform.Commit(t.Context(), next, nil); !errors.Is(err, local.ErrLockLost) {
		t.Errorf("with another agent: %v, want ErrLockLost", err)
	}
	if l, err := s.platform.Load(t.Context()); err != nil || l.Generation != 1 {
		t.Errorf("the ledger is at generation %d, %v", l.Generation, err)
	}
}

func TestAgentIsCountedByPrometheus(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.live("1.0.0", 1)
	metrics := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: unixSocket(s.dir)}}
	response, err := metrics.Get("http://agent/metrics")
	s.must(err)
	wantBody(t, response, `bluegreen_router_requests_total{deployment="web",environment="green"} 1`)
}

func TestCancelledLockIsNotHeld(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.platform.Lock(ctx, s.Actor); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	s.wake()
}
