// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// crowd are clients that ask an address again and again, each with a small pause.
type crowd struct {
	testing.TB
	stop    context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	answers  map[string]int
	last     map[string]time.Time
	failures []error
	heard    *bell
}

// between is the pause of a client between two questions.
const between = 5 * time.Millisecond

// gather sends clients to address: fresh open a connection for each question, and
// faithful keep theirs.
func gather(t testing.TB, address string, fresh, faithful int) *crowd {
	t.Helper()
	doorOpens(t, address)
	ctx, stop := context.WithCancel(t.Context())
	c := &crowd{TB: t, stop: stop, answers: map[string]int{}, last: map[string]time.Time{}, heard: newBell()}
	for range fresh {
		c.join(ctx, address, &http.Transport{DisableKeepAlives: true, DialContext: dialAfresh})
	}
	for range faithful {
		c.join(ctx, address, &http.Transport{MaxConnsPerHost: 1})
	}
	t.Cleanup(func() { c.leave() })
	return c
}

// freshPorts are those that new connections come from, one after the other: below
// those of the test bed and those that the system gives to clients.
const firstFreshPort, freshPorts = 10000, 16000

var freshPort atomic.Int64

// dialAfresh connects from a port that nobody had for a long time. For seconds after
// a connection was reset the kernel leads the next one from the same port to the
// same pod, which may be gone: a new connection that is none.
func dialAfresh(ctx context.Context, network, address string) (connection net.Conn, err error) {
	for range freshPorts {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{Port: firstFreshPort + int(freshPort.Add(1)%freshPorts)}}
		connection, err = dialer.DialContext(ctx, network, address)
		if !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EADDRNOTAVAIL) {
			break
		}
	}
	return connection, err
}

// doorOpens returns when the node has heard of a new Service. It does not tell
// when, so it is asked again and again.
func doorOpens(t testing.TB, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		answer, err := ask(client, "http://"+address+"/")
		if err == nil && answer != "" {
			return
		}
		if pause(ctx, between) != nil {
			t.Fatalf("the node does not serve %s: %v", address, err)
		}
	}
}

func (c *crowd) join(ctx context.Context, address string, transport *http.Transport) {
	c.running.Go(func() {
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: witness{transport}, Timeout: 10 * time.Second}
		for pause(ctx, between) == nil {
			answer, err := ask(client, "http://"+address+"/")
			c.note(answer, err)
		}
	})
}

// witness tells of a request that failed how far it came.
type witness struct{ http.RoundTripper }

func (w witness) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	course := "it got no connection"
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		course = fmt.Sprintf("it got a connection after %s, from %s, reused %t, idle for %s", time.Since(began), got.Conn.LocalAddr(), got.Reused, got.IdleTime)
	}})
	response, err := w.RoundTripper.RoundTrip(r.WithContext(ctx))
	if err != nil {
		err = fmt.Errorf("%w (%s)", err, course)
	}
	return response, err
}

func (c *crowd) note(answer string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.failures = append(c.failures, fmt.Errorf("%s: %w", time.Now().Format(time.StampMilli), err))
	} else {
		c.answers[answer]++
		c.last[answer] = time.Now()
	}
	c.heard.ring()
}

// hears returns when a client was answered with version since the call.
func (c *crowd) hears(version string) {
	c.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(c.Context(), 30*time.Second)
	defer cancel()
	if err := c.heard.await(ctx, func() (bool, time.Duration, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.last[version].After(began), 0, nil
	}); err != nil {
		c.Fatalf("nobody is answered with %s: %v", version, c.answers)
	}
}

// leave sends the clients home and returns what they were answered with how often.
func (c *crowd) leave() map[string]int {
	c.stop()
	c.running.Wait()
	return c.answers
}

// content fails the test if any client was ever not served.
func (c *crowd) content() {
	c.Helper()
	answers := c.leave()
	if len(c.failures) > 0 {
		c.Errorf("%d requests failed, the first: %v", len(c.failures), c.failures[0])
	}
	if answers[""] > 0 {
		c.Errorf("%d requests were answered with nothing", answers[""])
	}
	c.Logf("answers: %v", answers)
}

// Forward, back and forward again, while clients come and stay.
func TestClusterNobodyNoticesASwitch(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *Options) { o.DrainTimeout, o.RecycleStandby = 30*time.Second, true })
	s.live("1.0.0", 2)
	clients := gather(t, s.clusterAddress(), 4, 4)
	clients.hears("1.0.0")
	s.live("2.0.0", 2)
	clients.hears("2.0.0")
	s.must(s.Rollback(t.Context(), "to see"))
	clients.hears("1.0.0")
	s.must(s.DeployAndSwitch(t.Context(), s.release("2.0.0", 2)))
	clients.hears("2.0.0")
	clients.content()
}

func TestClusterAHundredSwitches(t *testing.T) {
	t.Parallel()
	s := newShop(t, onNodePort)
	s.live("1.0.0", 2)
	s.live("2.0.0", 2)
	clients := gather(t, s.nodePort(), 4, 4)
	clients.hears("2.0.0")
	for range 50 {
		s.must(s.Rollback(t.Context(), "to see"))
		s.must(s.DeployAndSwitch(t.Context(), s.release("2.0.0", 2)))
	}
	clients.content()
}

// What is checked is what stays: the pods of a standby that is being recycled are
// not evidence for the release that comes back to it.
func TestClusterReleaseComesBackWhileItsPodsAreReplaced(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *Options) { o.RecycleStandby = true })
	s.live("1.0.0", 3)
	s.live("2.0.0", 3)
	s.must(s.Rollback(t.Context(), "to see"))
	checked := 0
	s.Progress = func(message string) {
		if !strings.HasPrefix(message, "checking") {
			return
		}
		checked++
		found, err := theTestbed.apps.Deployments(s.namespace).Get(t.Context(), workloadName(s.Deployment, bluegreen.Blue), metav1.GetOptions{})
		s.must(err)
		if status := found.Status; status.ObservedGeneration < found.Generation || status.UpdatedReplicas != 3 || status.Replicas != 3 {
			t.Errorf("pods are checked that are about to go: %+v", status)
		}
	}
	s.live("2.0.0", 3)
	if checked != 1 {
		t.Errorf("it was checked %d times, want once", checked)
	}
}

// A standby whose pods cannot be replaced keeps nobody from anything: live has its
// size, and the release that was taken back comes up anew.
func TestClusterStandbyThatIsNeverWhole(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *Options) { o.RecycleStandby = true })
	s.live("1.0.0", 1)
	s.live("2.0.0", 1)
	stuck := []byte(`{"spec":{"minReadySeconds":3600,"progressDeadlineSeconds":7200}}`)
	if _, err := theTestbed.apps.Deployments(s.namespace).Patch(t.Context(), workloadName(s.Deployment, bluegreen.Blue),
		types.MergePatchType, stuck, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	s.must(s.Rollback(t.Context(), "to see"))
	if err := s.Scale(t.Context(), 2); err == nil || !strings.Contains(err.Error(), "scale of blue") {
		t.Errorf("the standby is said to have followed: %v", err)
	}
	if status, err := s.Status(t.Context()); err != nil || status.Running[bluegreen.Green] != 2 {
		t.Errorf("%d replicas of live run, %v", status.Running[bluegreen.Green], err)
	}
	s.live("2.0.0", 2)
	s.serves("2.0.0")
}

// Clients that keep their connection leave the old version with its pods: all of
// them are replaced, the standby is whole all the time, and a rollback finds it.
func TestClusterFaithfulClientsLeaveTheOldVersion(t *testing.T) {
	t.Parallel()
	const drain = 5 * time.Second
	s := newShop(t, onNodePort, func(o *Options) { o.DrainTimeout, o.RecycleStandby = drain, true })
	s.live("1.0.0", 2)
	clients := gather(t, s.nodePort(), 0, 6)
	clients.hears("1.0.0")
	former := s.podsOf(bluegreen.Green)
	started := time.Now()
	s.live("2.0.0", 2)
	slowest := time.Since(started)
	switched := time.Now()
	whole, gone := s.watchRecycling(bluegreen.Green, former, 2)
	if !whole {
		t.Error("the standby was not whole all the time")
	}
	clients.hears("2.0.0")
	clients.content()
	stayed := clients.last["1.0.0"].Sub(switched)
	t.Logf("the pods were replaced %s after the apply, the last client left after %s; a deploy takes %s", gone.Sub(switched), stayed, slowest)
	if limit := drain + 2*slowest; stayed > limit {
		t.Errorf("somebody got the old version %s after the apply, later than %s", stayed, limit)
	}
	s.must(s.Rollback(t.Context(), "still there"))
	s.serves("1.0.0")
}
