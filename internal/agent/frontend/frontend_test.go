// SPDX-License-Identifier: MPL-2.0

package frontend_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/frontend"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/socket"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// served is a frontend whose environments have one replica each.
type served struct {
	*testing.T
	*frontend.Frontend
	replicas map[bluegreen.Environment][]frontend.Replica
	// endpoint and preview are the addresses of live and staging.
	endpoint, preview string
}

// serve listens on a free port and sends requests to blue. Every replica answers as
// handler does for its environment.
func serve(t *testing.T, drain time.Duration, handler func(env string) http.HandlerFunc) *served {
	t.Helper()
	return serveWith(t, frontend.NewDescriptors(1000), drain, handler)
}

// serveWith is serve for clients that share these descriptors with others.
func serveWith(
	t *testing.T, descriptors *frontend.Descriptors, drain time.Duration, handler func(env string) http.HandlerFunc,
) *served {
	t.Helper()
	s := &served{T: t, replicas: map[bluegreen.Environment][]frontend.Replica{}}
	for _, env := range bluegreen.Environments() {
		server := httptest.NewServer(handler(string(env)))
		t.Cleanup(server.Close)
		id := string(env) + "-1"
		s.replicas[env] = []frontend.Replica{{
			Backend: router.Backend{ID: id, Addr: server.Listener.Addr().String()},
			Ref:     bluegreen.InstanceRef{ID: id},
		}}
	}
	ignore := func(bluegreen.Environment, router.Backend, int, error) {}
	s.Frontend = frontend.New(store.Binding{}, nil, descriptors, nil, ignore, slog.New(slog.DiscardHandler))
	t.Cleanup(s.Close)
	change, err := s.Prepare(store.Frontend{DrainTimeout: drain})
	if err != nil {
		t.Fatal(err)
	}
	s.Apply(change, liveOn(bluegreen.Blue), s.replicas)
	s.endpoint, s.preview = "http://"+change.Addresses[0], "http://"+change.PreviewAddress
	return s
}

// liveOn is the ledger of a deployment whose live environment is env.
func liveOn(env bluegreen.Environment) bluegreen.Ledger {
	release := bluegreen.Release{Version: "1", Image: "web", Replicas: 1}.Seal("")
	slot := bluegreen.Slot{
		State: bluegreen.Live, Release: &release, Checked: true,
		Passed: []bluegreen.InstanceRef{{ID: string(env) + "-1"}},
	}
	l := bluegreen.NewLedger("web")
	l.Generation, l.Live = 1, env
	if env == bluegreen.Blue {
		l.Blue = slot
	} else {
		l.Green = slot
	}
	return l
}

func name(env string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, env) }
}

// answer returns what a client is answered.
func (s *served) answer() string {
	s.Helper()
	response, err := http.Get(s.endpoint)
	if err != nil {
		s.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.Fatal(err)
	}
	return string(body)
}

func (s *served) expect(env bluegreen.Environment) {
	s.Helper()
	if answer := s.answer(); answer != string(env) {
		s.Errorf("%q answers, want %s", answer, env)
	}
}

// The next request on the same connection goes to the new environment.
func TestSwitchSendsTheNextRequestToTheOtherEnvironment(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute, name)
	s.expect(bluegreen.Blue)
	if !s.Route(liveOn(bluegreen.Green), s.replicas) || s.Live() != bluegreen.Green {
		t.Error("it is not reported as a switch")
	}
	s.expect(bluegreen.Green)
	if s.Route(liveOn(bluegreen.Green), s.replicas) {
		t.Error("the same route is reported as a switch")
	}
}

// A commit that does not change where clients are leaves their connections open.
func TestChangeOfOtherSettingsKeepsConnections(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute, name)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	get := func() (reused bool) {
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused },
		})
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.endpoint, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Error(err)
		}
		return reused
	}
	get()
	change, err := s.Prepare(store.Frontend{DrainTimeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	s.Apply(change, liveOn(bluegreen.Blue), s.replicas)
	// Listeners that end ask for the end of a connection in their next answer.
	next, last := get(), get()
	if !next || !last {
		t.Error("the connection was closed")
	}
}

// Other settings count from the next request on, also on a connection that was open before,
// and for live and preview.
func TestSettingsCountFromTheNextRequest(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute, name)
	l := liveOn(bluegreen.Blue)
	l.Green = bluegreen.Slot{State: bluegreen.Ready, Release: l.Blue.Release}
	s.Route(l, s.replicas)
	const upload = "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 5\r\n\r\nstory"
	open := map[net.Conn]string{s.dial(s.endpoint): "blue", s.dial(s.preview): "green"}
	for conn, env := range open {
		s.send(conn, upload)
		s.expectAnswer(conn, http.StatusOK, env)
	}
	change, err := s.Prepare(store.Frontend{DrainTimeout: time.Minute, MaxBody: 4})
	if err != nil {
		t.Fatal(err)
	}
	s.Apply(change, l, s.replicas)
	for conn := range open {
		s.send(conn, upload)
		s.expectAnswer(conn, http.StatusRequestEntityTooLarge, "")
	}
}

func TestTakenAddressLeavesTheListeners(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute, name)
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	taken := other.Addr().String()
	for what, next := range map[string]store.Frontend{
		"live": {Listen: []string{"127.0.0.1:0", taken}}, "preview": {PreviewListen: taken},
	} {
		_, err := s.Prepare(next)
		var address *socket.AddressError
		if !errors.As(err, &address) || address.Address != taken || address.Preview != (what == "preview") {
			t.Errorf("%s: %v", what, err)
		}
		if strings.Contains(err.Error(), " by process ") {
			t.Errorf("%s: it was looked who has the address while all requests waited: %v", what, err)
		}
		s.expect(bluegreen.Blue)
	}
}

// Without a port the deployment keeps the one it has, but never an address that is open to
// others than what is configured.
func TestPortIsKeptOnTheSameHostOnly(t *testing.T) {
	t.Parallel()
	const loopback, everybody = "127.0.0.1:0", "0.0.0.0:0"
	for change, c := range map[string]struct {
		former, next string
		isKept       bool
		// wantHost is the one of the address afterwards.
		wantHost string
	}{
		"nothing configured":      {"", "", true, "127.0.0.1"},
		"loopback is the default": {loopback, "", true, "127.0.0.1"},
		"no longer for everybody": {everybody, "", false, "127.0.0.1"},
		"loopback instead":        {everybody, loopback, false, "127.0.0.1"},
		"for everybody now":       {"", everybody, false, "0.0.0.0"},
		"everybody, unchanged":    {everybody, everybody, true, "0.0.0.0"},
		"and IPv6":                {everybody, ":0", false, "::"},
		"and IPv6, written else":  {":0", "[::]:0", true, "::"},
		"no longer IPv6":          {":0", everybody, false, "0.0.0.0"},
		"another loopback":        {loopback, "127.0.0.2:0", false, "127.0.0.2"},
	} {
		t.Run(change, func(t *testing.T) {
			t.Parallel()
			s := serve(t, time.Minute, name)
			bind := func(listen string) store.Binding {
				next := store.Frontend{Listen: []string{listen}, PreviewListen: listen, DrainTimeout: time.Minute}
				change, err := s.Prepare(next)
				if err != nil {
					t.Fatal(err)
				}
				s.Apply(change, liveOn(bluegreen.Blue), s.replicas)
				return change.Binding
			}
			before, after := bind(c.former), bind(c.next)
			for what, addresses := range map[string][2]string{
				"live": {before.Address(), after.Address()}, "preview": {before.PreviewAddress, after.PreviewAddress},
			} {
				if isKept := addresses[0] == addresses[1]; isKept != c.isKept {
					t.Errorf("%s was %s and is %s", what, addresses[0], addresses[1])
				}
				if host, _, err := net.SplitHostPort(addresses[1]); err != nil || host != c.wantHost {
					t.Errorf("%s is %s, want the host %s", what, addresses[1], c.wantHost)
				}
			}
		})
	}
}

func TestDiscardedChangeLeavesTheListeners(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute, name)
	change, err := s.Prepare(store.Frontend{Protocol: protocol.TCP})
	if err != nil {
		t.Fatal(err)
	}
	s.Discard(change)
	s.expect(bluegreen.Blue)
}

// Requests that are in flight on the former environment when the drain timeout is
// over are closed.
func TestDrainEndsAtTheTimeout(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	s := serve(t, 50*time.Millisecond, func(string) http.HandlerFunc {
		return func(_ http.ResponseWriter, r *http.Request) {
			close(arrived)
			<-r.Context().Done()
		}
	})
	ended := make(chan error, 1)
	go func() {
		response, err := http.Get(s.endpoint)
		if err != nil {
			ended <- nil
			return
		}
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			ended <- errors.New("the request was answered")
			return
		}
		ended <- nil
	}()
	<-arrived
	if err := s.Drain(t.Context(), bluegreen.Blue); err != nil {
		t.Errorf("draining live: %v", err)
	}
	s.Route(liveOn(bluegreen.Green), s.replicas)
	if err := s.Drain(t.Context(), bluegreen.Blue); err != nil {
		t.Errorf("draining: %v", err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Unhealthy replicas leave the traffic of live and of the preview, but never more than
// half of them.
func TestNeverMoreThanHalfOfTheReplicasLeaveTheTraffic(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ replicas, unhealthy, serving int }{
		{1, 0, 1}, {1, 1, 1}, {2, 1, 1}, {2, 2, 2}, {3, 1, 2}, {3, 2, 3}, {4, 2, 2}, {4, 3, 4},
	} {
		for address, env := range map[string]bluegreen.Environment{"live": bluegreen.Blue, "preview": bluegreen.Green} {
			t.Run(fmt.Sprintf("%s/%d of %d", address, c.unhealthy, c.replicas), func(t *testing.T) {
				t.Parallel()
				s := serve(t, time.Minute, name)
				l := liveOn(bluegreen.Blue)
				l.Green = bluegreen.Slot{State: bluegreen.Ready, Release: l.Blue.Release}
				l.Blue.Passed, s.replicas[env] = nil, nil
				for n := range c.replicas {
					id := fmt.Sprintf("%s-%d", env, n+1)
					server := httptest.NewServer(name(id))
					t.Cleanup(server.Close)
					l.Blue.Passed = append(l.Blue.Passed, bluegreen.InstanceRef{ID: id})
					s.replicas[env] = append(s.replicas[env], frontend.Replica{
						Backend: router.Backend{ID: id, Addr: server.Listener.Addr().String()},
						Ref:     bluegreen.InstanceRef{ID: id}, IsUnhealthy: n < c.unhealthy,
					})
				}
				s.Route(l, s.replicas)
				if address == "preview" {
					s.endpoint = s.preview
				}
				answered := map[string]bool{}
				// Each is picked at random.
				for range 20 * c.replicas {
					answered[s.answer()] = true
				}
				if len(answered) != c.serving {
					t.Errorf("%v answer, want %d", slices.Sorted(maps.Keys(answered)), c.serving)
				}
			})
		}
	}
}
