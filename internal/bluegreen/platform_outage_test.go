// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

var errLeaderChanged = errors.New("listing the pods: etcdserver: leader changed")

// outage is a platform that does not answer for a while.
type outage struct {
	bluegreen.Platform
	// over is when the platform answers again.
	over time.Time
	// dial is set if only connections fail, and not listings.
	dial bool
}

// begin makes the platform fail for d from now on.
func (o *outage) begin(d time.Duration) { o.over = time.Now().Add(d) }

func (o *outage) Instances(ctx context.Context, env bluegreen.Environment) ([]bluegreen.Instance, error) {
	if !o.dial && time.Now().Before(o.over) {
		return nil, errLeaderChanged
	}
	return o.Platform.Instances(ctx, env)
}

func (o *outage) Dial(ctx context.Context, instance bluegreen.Instance) (net.Conn, error) {
	if o.dial && time.Now().Before(o.over) {
		return nil, fmt.Errorf("%w: port-forward: the kubelet does not answer", bluegreen.ErrCouldNotAsk)
	}
	return o.Platform.Dial(ctx, instance)
}

// deployThroughOutage deploys 2.0.0 over 1.0.0. When the phase begins, the platform
// stops answering for the given time.
func deployThroughOutage(t *testing.T, phase string, lasts time.Duration, dial bool) (*timedHarness, error) {
	h := newTimedHarness(t, alwaysHealthy)
	platform := &outage{Platform: h.Platform, dial: dial}
	h.Platform, h.Checker = platform, h.memory.Checker()
	h.create(t)
	h.Config.BakeTime = 5 * time.Second
	h.Progress = func(message string) {
		if strings.HasPrefix(message, phase) {
			platform.begin(lasts)
		}
	}
	return h, h.DeployAndSwitch(t.Context(), fourReplicas(h.memory, "2.0.0"))
}

// A platform that does not answer for some seconds says nothing about a release.
func TestShortOutageOfThePlatformFailsNoRelease(t *testing.T) {
	for name, c := range map[string]struct {
		phase string
		lasts time.Duration
		dial  bool
	}{
		"a listing fails in the check":           {"checking", 2500 * time.Millisecond, false},
		"connections fail in the check":          {"checking", 2500 * time.Millisecond, true},
		"a listing fails in the watch":           {"watching", 8 * time.Second, false},
		"connections fail in the watch":          {"watching", 8 * time.Second, true},
		"connections fail longer than the watch": {"watching", 25 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, err := deployThroughOutage(t, c.phase, c.lasts, c.dial)
				if serves := h.memory.Serves(t, deployment); err != nil || serves != "2.0.0" {
					t.Errorf("%v, and %s serves", err, serves)
				}
			})
		})
	}
}

// An outage that lasts has a kind of its own: the release is not called unhealthy.
func TestLongOutageOfThePlatformIsNoUnhealthyRelease(t *testing.T) {
	for name, c := range map[string]struct {
		phase, serves string
		dial          bool
		text          string
	}{
		"listings in the check":    {"checking", "1.0.0", false, "etcdserver: leader changed"},
		"connections in the check": {"checking", "1.0.0", true, "the kubelet does not answer"},
		"listings in the watch":    {"watching", "2.0.0", false, "etcdserver: leader changed"},
		"connections in the watch": {"watching", "2.0.0", true, "the kubelet does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, err := deployThroughOutage(t, c.phase, time.Hour, c.dial)
				if !matches(err, bluegreen.PlatformUnavailable, c.text) || errors.Is(err, bluegreen.HealthCheckFailed) {
					t.Errorf("got %v", err)
				}
				if serves := h.memory.Serves(t, deployment); serves != c.serves {
					t.Errorf("%s serves, want %s", serves, c.serves)
				}
			})
		})
	}
}

// While connections fail for long, the platform's own judgement decides.
func TestReadinessDecidesInALongOutage(t *testing.T) {
	for name, c := range map[string]struct {
		readiness error
		serves    string
	}{
		"ready":     {nil, "2.0.0"},
		"not ready": {errStarting, "1.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newTimedHarness(t, alwaysHealthy)
				platform := &outage{Platform: h.Platform, dial: true}
				h.Checker = h.memory.Checker()
				h.create(t)
				h.Config.BakeTime, h.Config.RollbackCheck = 5*time.Second, false
				h.memory.SetReadiness(deployment, bluegreen.Verdict{"ready": nil})
				readiness, ok := h.Platform.(bluegreen.Readiness)
				if !ok {
					t.Fatal("the platform does not judge its instances")
				}
				h.Platform = readyOutage{platform, readiness}
				h.Progress = func(message string) {
					if strings.HasPrefix(message, "watching") {
						platform.begin(time.Hour)
						h.memory.SetReadiness(deployment, bluegreen.Verdict{"ready": c.readiness}, bluegreen.Blue)
					}
				}
				err := h.DeployAndSwitch(t.Context(), fourReplicas(h.memory, "2.0.0"))
				serves := h.memory.Serves(t, deployment)
				if serves != c.serves || (err == nil) != (c.readiness == nil) {
					t.Errorf("%v, and %s serves", err, serves)
				}
			})
		})
	}
}

// readyOutage is an outage of a platform that judges its instances itself.
type readyOutage struct {
	*outage
	bluegreen.Readiness
}

// A create whose watch cannot be made stays as it is: its release may be healthy.
func TestCreateStaysWhenItsWatchCannotBeMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTimedHarness(t, alwaysHealthy)
		platform := &outage{Platform: h.Platform}
		h.Platform = platform
		h.Config.BakeTime = 5 * time.Second
		h.Progress = func(message string) {
			if strings.HasPrefix(message, "watching") {
				platform.begin(time.Hour)
			}
		}
		_, err := h.Create(t.Context(), desired(fourReplicas(h.memory, "1.0.0")))
		if !errors.Is(err, bluegreen.PlatformUnavailable) || h.memory.Serves(t, deployment) != "1.0.0" {
			t.Errorf("%v, and %q serves", err, h.memory.Serves(t, deployment))
		}
	})
}
