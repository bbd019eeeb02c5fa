// SPDX-License-Identifier: MPL-2.0

//go:build unix

package local_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// These are the settings of deployWithUpkeep. A sick replica has the traffic for at most
// upkeepThreshold times the interval of a second, plus the timeout of a probe.
const (
	upkeepThreshold = 2
	upkeepTimeout   = time.Second
	upkeepBound     = upkeepThreshold*time.Second + upkeepTimeout
	// busyTime is what a busy machine may add to that.
	busyTime = 10 * time.Second
)

// secret is the value of a header of the health check.
const secret = "a-very-secret-token"

// deployWithUpkeep deploys a release with replicas that the agent looks after.
func deployWithUpkeep(t *testing.T, replicas int, restartAfter time.Duration) *service {
	t.Helper()
	return deployReleaseWithUpkeep(t, agenttest.Release(t, "1.0.0", agenttest.Healthy), replicas, restartAfter)
}

// deployReleaseWithUpkeep is deployWithUpkeep for this release.
func deployReleaseWithUpkeep(
	t *testing.T, release bluegreen.Release, replicas int, restartAfter time.Duration,
) *service {
	t.Helper()
	return deployWithUpkeepSettings(t, release, replicas, local.Upkeep{RestartAfter: restartAfter})
}

// deployWithUpkeepSettings is deployWithUpkeep for this release with these settings, which
// it completes.
func deployWithUpkeepSettings(t *testing.T, release bluegreen.Release, replicas int, upkeep local.Upkeep) *service {
	t.Helper()
	release.Replicas = replicas
	dir := agenttest.StateDir(t)
	upkeep.Release, upkeep.UnhealthyThreshold = release, upkeepThreshold
	upkeep.Health.HTTP = &health.HTTP{Headers: map[string]string{"Authorization": secret}}
	upkeep.Health.ProbeTimeout = upkeepTimeout
	s := open(t, local.Options{StateDir: dir, Name: "web", Upkeep: &upkeep})
	t.Cleanup(func() {
		s.must(s.Destroy(context.WithoutCancel(t.Context())))
		if _, err := os.Stat(filepath.Join(dir, "deployments", "web")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a file of the deployment is left: %v", err)
		}
	})
	s.makeLive(release)
	return s
}

// tell sends a request directly to the live replica with this number.
func (s *service) tell(number int, path string) {
	s.Helper()
	s.must(agenttest.Ask(s.Context(), s.platform, s.instance(number), path))
}

// instance returns the live replica with this number.
func (s *service) instance(number int) bluegreen.Instance {
	s.Helper()
	id := fmt.Sprintf("green-%d", number)
	for _, instance := range s.instances(bluegreen.Green) {
		if instance.ID == id {
			return instance
		}
	}
	s.Fatalf("there is no %s", id)
	return bluegreen.Instance{}
}

// signal sends a signal to the process of the live replica with this number.
func (s *service) signal(number int, with syscall.Signal) {
	s.Helper()
	var process struct {
		PID int `json:"pid"`
	}
	id := fmt.Sprintf("green-%d", number)
	s.must(json.Unmarshal([]byte(s.file("green", "replicas", id, "process.json")), &process))
	s.must(syscall.Kill(process.PID, with))
}

// awaitUnready waits until the agent says of these live replicas, and of no others, that
// they are unhealthy.
func (s *service) awaitUnready(numbers ...int) {
	s.Helper()
	wanted := map[string]bool{}
	for _, n := range numbers {
		wanted[fmt.Sprintf("green-%d", n)] = true
	}
	agenttest.Eventually(s, func() error {
		for _, instance := range s.instances(bluegreen.Green) {
			if wanted[instance.ID] != (instance.Unready != "") {
				return fmt.Errorf("%s has the cause %q", instance.ID, instance.Unready)
			}
		}
		status, err := s.platform.Observe(s.Context())
		if err == nil && status.Unready[bluegreen.Green] != len(numbers) {
			err = fmt.Errorf("%d replicas count as unhealthy", status.Unready[bluegreen.Green])
		}
		return err
	})
}

// awaitNoFailure waits until clients see no failure any more. It returns the time of the
// last request that failed.
func (s *service) awaitNoFailure() (last time.Time) {
	s.Helper()
	return agenttest.AwaitNoFailure(s, s.endpoint())
}

// One of four live replicas falls sick. Clients notice it for no longer than the health
// check needs, and it comes back once it is well.
func TestSickReplicaLeavesTheTraffic(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sicken, heal func(*service)
		cause        string
	}{
		"answers 503": {
			func(s *service) { s.tell(2, "/sicken") }, func(s *service) { s.tell(2, "/heal") }, "http: GET /: 503",
		},
		"hangs up": {
			func(s *service) { s.tell(2, "/hangup") }, func(s *service) { s.tell(2, "/heal") }, "closed",
		},
		"is slow": {
			func(s *service) { s.tell(2, "/slow") }, func(s *service) { s.tell(2, "/heal") }, "no answer within",
		},
		"hangs": {
			func(s *service) { s.signal(2, syscall.SIGSTOP) }, func(s *service) { s.signal(2, syscall.SIGCONT) },
			"no answer within",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := deployWithUpkeep(t, 4, 0)
			c.sicken(s)
			sick := time.Now()
			last := s.awaitNoFailure()
			s.awaitUnready(2)
			took := last.Sub(sick).Round(time.Millisecond)
			t.Logf("%s: requests failed for %s; the bound is %s and a client's timeout", name, took, upkeepBound)
			if last.IsZero() {
				t.Error("no client has noticed")
			}
			if took > upkeepBound+agenttest.Patience+busyTime {
				t.Error("that is too long, even on a busy machine")
			}
			if cause := s.instance(2).Unready; !strings.Contains(cause, c.cause) {
				t.Errorf("the cause is %q", cause)
			}
			if again := s.awaitNoFailure(); !again.IsZero() {
				t.Error("a request failed after the replica had left the traffic")
			}
			c.heal(s)
			s.awaitUnready()
			incarnation := s.instance(2).Incarnation
			agenttest.Eventually(t, func() error {
				if _, answered := get(t, s.endpoint()+"/env?BLUEGREEN_INCARNATION"); answered != incarnation {
					return errors.New("another replica answers")
				}
				return nil
			})
		})
	}
}

// A live replica is sick and well in turns. In each spell clients see it for no longer than
// the two probes that must fail, and it is back only after three probes in a row have passed.
func TestFlappingReplicaComesBackOnlyWhenItIsWell(t *testing.T) {
	t.Parallel()
	const (
		script = "ffpfppfpppffppp"
		// In these it is in the traffic after so many of its probes. The probe that makes it
		// leave, or come back, may have been answered and not counted yet.
		inTraffic = "+++.......+++.."
	)
	release := agenttest.Release(t, "1.0.0", agenttest.Healthy)
	s := deployWithUpkeepSettings(t, release, 4, local.Upkeep{Health: health.Config{HealthyThreshold: 3}})
	s.tell(2, "/flap?"+script)
	url, failures := s.endpoint(), 0
	agenttest.Eventually(t, func() error {
		response, err := client.Get(url)
		if err != nil {
			return err
		}
		response.Body.Close()
		isFailure := response.StatusCode != http.StatusOK
		if isFailure {
			failures++
		}
		probes, err := strconv.Atoi(response.Header.Get(agenttest.ProbesHeader))
		if err != nil {
			if isFailure {
				t.Errorf("another replica answers %s", response.Status)
			}
			return errors.New("another replica answers")
		}
		if probes >= len(script) {
			return nil
		}
		if inTraffic[probes] != '+' {
			t.Errorf("a client is answered %s after the probes %q", response.Status, script[:probes])
		}
		return fmt.Errorf("so far it was probed %d times", probes)
	})
	s.awaitUnready()
	t.Logf("clients saw %d failures", failures)
	s.awaitNoFailure()
}

// If most replicas are sick, all keep the traffic: those that are left could not carry it.
func TestMostReplicasAreNeverTakenOut(t *testing.T) {
	t.Parallel()
	s := deployWithUpkeep(t, 4, 0)
	for _, n := range []int{1, 2, 3} {
		s.tell(n, "/sicken")
	}
	s.awaitUnready(1, 2, 3)
	agenttest.Eventually(t, func() error {
		answers := map[int]int{}
		for range 8 {
			status, _ := get(t, s.endpoint())
			answers[status]++
		}
		if answers[http.StatusServiceUnavailable] != 6 || answers[http.StatusOK] != 2 {
			return fmt.Errorf("of 8 requests to 4 replicas: %v", answers)
		}
		return nil
	})
	if log := agenttest.Log(t, s.dir); !strings.Contains(log, "more than half of the replicas are unhealthy") {
		t.Error("the log does not say that all replicas stay")
	}
	s.tell(1, "/heal")
	s.awaitUnready(2, 3)
	s.awaitNoFailure()
}

// The agent keeps in its files what it looks after. So the next agent finds a sick
// replica with its first probe.
func TestNextAgentLooksAfterReplicas(t *testing.T) {
	t.Parallel()
	s := deployWithUpkeep(t, 4, 0)
	s.tell(2, "/sicken")
	s.awaitUnready(2)
	agenttest.Kill(t, s.dir)
	s.ensureAgent()
	s.awaitNoFailure()
	s.awaitUnready(2)
}

func TestReplicaThatStaysUnhealthyIsStartedAgain(t *testing.T) {
	t.Parallel()
	s := deployWithUpkeep(t, 4, time.Second)
	former := s.instance(2).Incarnation
	s.tell(2, "/hangup")
	agenttest.Eventually(t, func() error {
		now := s.instance(2)
		if now.Incarnation == former || !now.Running || now.Unready != "" {
			return fmt.Errorf("it is %+v", now)
		}
		return nil
	})
	s.awaitNoFailure()
}

// An apply starts an unhealthy replica again, and all replicas are ready when it ends.
func TestApplyRepairsUnhealthyReplica(t *testing.T) {
	t.Parallel()
	release := agenttest.Release(t, "1.0.0", agenttest.Healthy)
	s := deployReleaseWithUpkeep(t, release, 2, 0)
	release.Replicas = 2
	former := s.instance(1).Incarnation
	s.tell(1, "/hangup")
	s.awaitUnready(1)
	status, err := s.Status(t.Context())
	s.must(err)
	desired := bluegreen.Desired{Release: release, Promote: true, KeepStandby: true, MinHealthyPercent: 100}
	s.must(errOf(s.Apply(t.Context(), status.Ledger, desired)))
	if now := s.instance(1); now.Incarnation == former || now.Unready != "" {
		t.Errorf("after the apply it is %+v", now)
	}
	status, err = s.Status(t.Context())
	s.must(err)
	if status.Usable()[bluegreen.Green] != 2 {
		t.Errorf("after the apply %d replicas are ready", status.Usable()[bluegreen.Green])
	}
	s.awaitNoFailure()
}

// Header values and commands may be secrets. Only one file has them, which only the
// agent's user can read.
func TestHealthCheckIsKeptSecret(t *testing.T) {
	t.Parallel()
	s := deployWithUpkeep(t, 1, 0)
	path := filepath.Join(s.dir, "deployments", "web", "upkeep.json")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}
	if !strings.Contains(s.file("upkeep.json"), secret) {
		t.Error("the health check is not stored")
	}
	s.tell(1, "/sicken")
	s.awaitUnready(1)
	if strings.Contains(s.file("ledger.json")+agenttest.Log(t, s.dir)+s.instance(1).Unready, secret) {
		t.Error("the secret is in the ledger, the log or a cause")
	}
}
