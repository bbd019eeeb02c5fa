// SPDX-License-Identifier: MPL-2.0

//go:build unix

package local_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	agentclient "github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// The agent is killed under load, and the next agent takes over the same processes.
func TestSameProcessesServeAfterTheAgentIsKilled(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 2)
	s.deployLive("2.0.0", 2)
	endpoint, live, standby := s.endpoint(), s.runs(bluegreen.Blue), s.runs(bluegreen.Green)

	load := startLoad(t, endpoint)
	agenttest.Kill(t, s.dir)
	if got := s.endpoint(); got != endpoint {
		t.Errorf("with no agent the endpoint is %s, want %s", got, endpoint)
	}
	if list, err := s.platform.Instances(t.Context(), bluegreen.Blue); !agentclient.IsUnavailable(err) {
		t.Errorf("with no agent the replicas are %v, %v", list, err)
	}
	s.ensureAgent()

	if got := s.endpoint(); got != endpoint {
		t.Errorf("the endpoint is %s, want %s", got, endpoint)
	}
	// The first request may have been in flight when the agent was killed.
	load.awaitAnswer()
	load.awaitAnswer()
	if answers := load.stop(); len(answers) != 1 || answers["2.0.0"] == 0 {
		t.Errorf("clients were answered %v", answers)
	}
	if got := s.runs(bluegreen.Blue); !slices.Equal(got, live) {
		t.Errorf("live ran as %v and runs as %v", live, got)
	}
	s.must(s.Rollback(t.Context(), "to see that the standby is alive"))
	s.expectVersion("1.0.0")
	if got := s.runs(bluegreen.Green); !slices.Equal(got, standby) {
		t.Errorf("the standby ran as %v and serves as %v", standby, got)
	}
}

// The agent is killed under load, and nobody applies. Its parent starts it again, and the same
// replicas serve.
func TestTrafficIsBackByItselfAfterTheAgentIsKilled(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 2)
	s.deployLive("2.0.0", 2)
	endpoint, live, standby := s.endpoint(), s.runs(bluegreen.Blue), s.runs(bluegreen.Green)
	parent := agenttest.Parent(t, s.dir)

	load := startLoad(t, endpoint)
	killed := time.Now()
	agenttest.Crash(t, s.dir)
	// The first answer may be to a request that was in flight when the agent was killed.
	load.awaitAnswer()
	load.awaitAnswer()
	t.Logf("clients were answered again after %s", time.Since(killed))
	if answers := load.stop(); len(answers) != 1 || answers["2.0.0"] == 0 {
		t.Errorf("clients were answered %v", answers)
	}
	if got := s.endpoint(); got != endpoint {
		t.Errorf("the endpoint is %s, want %s", got, endpoint)
	}
	if got := s.runs(bluegreen.Blue); !slices.Equal(got, live) {
		t.Errorf("live ran as %v and runs as %v", live, got)
	}
	if got := s.runs(bluegreen.Green); !slices.Equal(got, standby) {
		t.Errorf("the standby ran as %v and runs as %v", standby, got)
	}
	if again := agenttest.Parent(t, s.dir); again != parent || parent == 0 {
		t.Errorf("the parent was %d and is %d", parent, again)
	}
}

// The agent dies while a new release is watched, and its parent too. That says nothing about
// the release: it is not rolled back, the agent is started again at once, and the next operation
// watches the release to the end.
func TestReleaseIsNotBlamedForAnAgentThatIsKilled(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 2)
	s.Config.BakeTime, s.Config.ProbeInterval = time.Second, 10*time.Millisecond
	s.Progress = func(message string) {
		if strings.Contains(message, "watching") {
			agenttest.Kill(t, s.dir)
		}
	}
	err := s.DeployAndSwitch(t.Context(), agenttest.Release(t, "2.0.0", agenttest.Healthy))
	if !errors.Is(err, bluegreen.PlatformUnavailable) || errors.Is(err, bluegreen.HealthCheckFailed) ||
		!local.HasLostAgent(err) {
		t.Errorf("got %v", err)
	}
	s.Progress = nil
	s.expectVersion("2.0.0")
	ledger, err := s.platform.Load(t.Context())
	if live, _ := ledger.LiveRecord(); err != nil || live.Version != "2.0.0" || ledger.WatchDue == "" {
		t.Errorf("live is %+v, the watch that is due is %q: %v", live, ledger.WatchDue, err)
	}
}

// The agent dies while a new release is watched, and another one is started. It takes over the
// same processes: no replica has restarted. The lock is lost, and the error says so.
func TestReleaseIsNotBlamedForAnAgentThatIsReplaced(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 2)
	s.Config.BakeTime, s.Config.ProbeInterval = time.Second, 10*time.Millisecond
	other := open(t, local.Options{StateDir: s.dir, Name: "other"})
	s.Progress = func(message string) {
		if strings.Contains(message, "watching") {
			agenttest.Kill(t, s.dir)
			other.ensureAgent()
		}
	}
	err := s.DeployAndSwitch(t.Context(), agenttest.Release(t, "2.0.0", agenttest.Healthy))
	if !errors.Is(err, bluegreen.PlatformUnavailable) || errors.Is(err, bluegreen.HealthCheckFailed) ||
		!strings.Contains(err.Error(), "the lock on the deployment is not held any more") {
		t.Errorf("got %v", err)
	}
	s.Progress = nil
	s.expectVersion("2.0.0")
}

// load is a client that sends requests one after the other without a pause.
type load struct {
	cancel  context.CancelFunc
	answers chan string
	count   map[string]int
	// failed counts the requests that were not answered.
	failed atomic.Int64
}

// startLoad starts to send requests, and returns when one has been answered.
func startLoad(t *testing.T, endpoint string) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{cancel: cancel, answers: make(chan string), count: map[string]int{}}
	go func() {
		defer close(l.answers)
		for ctx.Err() == nil {
			answer, err := ask(ctx, endpoint)
			if err != nil {
				if ctx.Err() == nil {
					l.failed.Add(1)
				}
				continue
			}
			select {
			case l.answers <- answer:
			case <-ctx.Done():
			}
		}
	}()
	l.awaitAnswer()
	return l
}

// awaitAnswer returns when one more request has been answered.
func (l *load) awaitAnswer() { l.count[<-l.answers]++ }

// stop ends the load and returns how often each answer came.
func (l *load) stop() map[string]int {
	l.cancel()
	for answer := range l.answers {
		l.count[answer]++
	}
	return l.count
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

// ensureAgent makes sure that an agent runs, as every operation does first.
func (s *service) ensureAgent() {
	s.Helper()
	unlock, err := s.platform.Lock(s.Context(), s.Actor)
	s.must(err)
	unlock()
}

func TestReplicasOutliveAnAgentThatIsStopped(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	before := s.runs(bluegreen.Green)
	agenttest.Stop(t, s.dir)
	s.ensureAgent()
	s.expectVersion("1.0.0")
	if after := s.runs(bluegreen.Green); !slices.Equal(before, after) {
		t.Errorf("the replica was %v and is %v", before, after)
	}
}

// A replica that exits while no agent runs is restarted by the next agent. The next agent
// also restarts a replica that another agent started and that exits later.
func TestDeadReplicasAreStartedAgain(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 2)
	before := s.runs(bluegreen.Green)
	s.crash(s.instances(bluegreen.Green)[0])
	s.awaitRestart(before)

	before = s.runs(bluegreen.Green)
	agenttest.Kill(t, s.dir)
	s.ensureAgent()
	s.crash(s.instances(bluegreen.Green)[1])
	s.awaitRestart(before)
	s.expectVersion("1.0.0")
}

// crash makes a replica exit.
func (s *service) crash(instance bluegreen.Instance) {
	s.Helper()
	// The replica exits before it can answer.
	_ = agenttest.Ask(s.Context(), s.platform, instance, "/exit")
}

// awaitRestart waits until exactly one replica of green runs as a new process.
func (s *service) awaitRestart(before []string) {
	s.Helper()
	agenttest.Eventually(s, func() error {
		restarted := 0
		for _, instance := range s.instances(bluegreen.Green) {
			if !instance.Running {
				return errors.New(instance.ID + " does not run: " + instance.Exit)
			}
			if !slices.Contains(before, instance.ID+" "+instance.Incarnation) {
				restarted++
			}
		}
		if restarted != 1 {
			return fmt.Errorf("%d replicas have restarted", restarted)
		}
		return nil
	})
}

func TestSeveralProvidersStartOneAgent(t *testing.T) {
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
	if got, err := s.platform.Instances(t.Context(), bluegreen.Blue); !agentclient.IsUnavailable(err) {
		t.Errorf("Instances: %v, %v, want that no agent is running", got, err)
	}
	if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the state directory was created: %v", err)
	}
}

func TestAgentEndsSomeTimeAfterItsLastDeployment(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := agenttest.StateDir(t)
	s := open(t, local.Options{StateDir: dir, Name: "web", AgentCommand: []string{self, "agent", "-linger", "1ms"}})
	s.deployLive("1.0.0", 1)
	s.must(s.Destroy(t.Context()))
	agenttest.AwaitEnd(t, dir)

	// It does not end while somebody holds a lock, with or without a deployment.
	unlock, err := s.platform.Lock(t.Context(), s.Actor)
	s.must(err)
	s.must(s.platform.Commit(t.Context(), firstLedger(), nil))
	s.must(s.platform.Erase(t.Context()))
	s.must(s.platform.Commit(t.Context(), firstLedger(), nil))
	s.must(s.platform.Erase(t.Context()))
	unlock()
	agenttest.AwaitEnd(t, dir)
}

func firstLedger() bluegreen.Ledger {
	l := bluegreen.NewLedger("web")
	l.Generation, l.HistoryLimit = 1, 10
	return l
}

// The lock is a connection. It ends with the process that holds it.
func TestLockEndsWithItsProcess(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	holder := startLockHolder(t, s.dir, "web", nil)
	_, err := s.platform.Lock(t.Context(), s.Actor)
	var held *bluegreen.LockedError
	if !errors.As(err, &held) || held.Holder.Name != "somebody@else" || held.Holder.Since.IsZero() {
		t.Fatalf("got %v, want an error that names the holder of the lock", err)
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
	other.ensureAgent()
	if err := s.platform.Commit(t.Context(), next, nil); !errors.Is(err, local.ErrLockLost) {
		t.Errorf("with another agent: %v, want ErrLockLost", err)
	}
	if l, err := s.platform.Load(t.Context()); err != nil || l.Generation != 1 {
		t.Errorf("the ledger is at generation %d, %v", l.Generation, err)
	}
}

func TestAgentServesMetrics(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
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
	s.ensureAgent()
}
