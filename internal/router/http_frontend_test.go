// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

func TestRequestsAreSpreadOverAllReplicas(t *testing.T) {
	t.Parallel()
	e, c := startRouter(t, protocol.HTTP, nil), newClient(t)
	e.blue.Set([]router.Backend{
		replica(t, "blue-1", answerWith("1")),
		replica(t, "blue-2", answerWith("2")),
		replica(t, "blue-3", answerWith("3")),
	})
	seen := map[string]int{}
	for range 300 {
		seen[get(t, c, e.url).text]++
	}
	// One that gets less than half of its share does so once in 10^14 runs.
	if seen["1"] < 50 || seen["2"] < 50 || seen["3"] < 50 {
		t.Errorf("300 requests over 3 replicas: %v", seen)
	}
}

// The share of a replica that is down goes to all others, not to its neighbour.
func TestShareOfAReplicaThatRefusesIsSpread(t *testing.T) {
	t.Parallel()
	e, c := startRouter(t, protocol.HTTP, nil), newClient(t)
	e.blue.Set([]router.Backend{
		refusingReplica(t, "blue-1"),
		replica(t, "blue-2", answerWith("2")),
		replica(t, "blue-3", answerWith("3")),
		replica(t, "blue-4", answerWith("4")),
	})
	seen := map[string]int{}
	for range 300 {
		seen[get(t, c, e.url).text]++
	}
	if seen["2"] < 50 || seen["3"] < 50 || seen["4"] < 50 {
		t.Errorf("300 requests over 3 of 4 replicas: %v", seen)
	}
}

// A slow replica gets no more than it can answer, and the others do not wait for it.
func TestSlowReplicaDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	e, slow := startRouter(t, protocol.HTTP, nil), newSlowHandler(t)
	e.blue.Set([]router.Backend{
		replica(t, "blue-1", slow.answers("slow")),
		replica(t, "blue-2", answerWith("2")),
		replica(t, "blue-3", answerWith("3")),
	})
	// Sooner or later the slow one is picked while nothing is in flight.
	var held <-chan answer
	for held == nil {
		asked := getInBackground(t, newClient(t), e.url)
		select {
		case <-asked:
		case <-slow.arrived:
			held = asked
		}
	}
	// From now on it is the busier one of every two.
	c := newClient(t)
	for range 100 {
		if got := get(t, c, e.url).text; got == "slow" {
			t.Error("the slow replica was given another request")
		}
	}
	close(slow.release)
	if got := (<-held).text; got != "slow" {
		t.Errorf("the request on the slow replica got %q", got)
	}
}

func TestReplicaThatRefusesIsPassedOver(t *testing.T) {
	t.Parallel()
	e, c := startRouter(t, protocol.HTTP, nil), newClient(t)
	e.blue.Set([]router.Backend{
		refusingReplica(t, "blue-1"),
		refusingReplica(t, "blue-2"),
		replica(t, "blue-3", func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(w, "%s %s %v", r.Method, body, err)
		}),
	})
	for i := range 6 {
		order := fmt.Sprintf("order %d", i)
		got, err := send(t, c, http.MethodPost, e.url, order)
		if err != nil {
			t.Fatal(err)
		}
		if want := "POST " + order + " <nil>"; got.text != want {
			t.Errorf("got %q, want %q", got.text, want)
		}
	}
	if n := e.blue.InFlight(); n != 0 {
		t.Errorf("%d in flight at the end", n)
	}
}

func TestNoReplicaThatAcceptsIsABadGateway(t *testing.T) {
	t.Parallel()
	for name, members := range map[string][]router.Backend{
		"none":       nil,
		"all refuse": {refusingReplica(t, "blue-1"), refusingReplica(t, "blue-2")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := startRouter(t, protocol.HTTP, nil)
			e.blue.Set(members)
			got := get(t, newClient(t), e.url)
			if got.StatusCode != http.StatusBadGateway || got.text != "no replica accepts connections\n" {
				t.Errorf("%s: %q", got.Status, got.text)
			}
		})
	}
}

func TestReplicaThatDiesInTheMiddleIsABadGateway(t *testing.T) {
	t.Parallel()
	e := startRouter(t, protocol.HTTP, nil)
	e.blue.Set([]router.Backend{replica(t, "blue-1", func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	})})
	got := get(t, newClient(t), e.url)
	if got.StatusCode != http.StatusBadGateway || got.text != "the replica did not answer\n" {
		t.Errorf("%s: %q", got.Status, got.text)
	}
}

func TestReplicaSeesTheRequestAsItWasMade(t *testing.T) {
	t.Parallel()
	e, c := startRouter(t, protocol.HTTP, nil), newClient(t)
	var seen *http.Request
	e.blue.Set([]router.Backend{replica(t, "blue-1", func(_ http.ResponseWriter, r *http.Request) { seen = r })})
	c.Transport = &http.Transport{DisableCompression: true, DisableKeepAlives: true}

	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, e.url+"/a%2Fb/c?q=1;2&z=%zz", http.NoBody)
	req.Host = "shop.example"
	for _, name := range []string{
		"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Real-Ip",
	} {
		req.Header.Set(name, "for=192.0.2.66")
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()

	if got, want := seen.RequestURI, "/a%2Fb/c?q=1;2&z=%zz"; got != want {
		t.Errorf("URI %q, want %q", got, want)
	}
	if seen.Host != "shop.example" {
		t.Errorf("host %q", seen.Host)
	}
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "shop.example", "X-Forwarded-Proto": "http",
		// Neither what the client claims nor anything it did not ask for.
		"Forwarded": "", "X-Forwarded-Port": "", "X-Real-Ip": "", "Accept-Encoding": "",
	} {
		if got := seen.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestReplicaSeesTheHostOfEachRequest(t *testing.T) {
	t.Parallel()
	e, c := startRouter(t, protocol.HTTP, nil), newClient(t)
	e.blue.Set([]router.Backend{replica(t, "blue-1", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-Host"))
	})})
	// All requests use the same connection.
	for _, host := range []string{"shop.example", "shop.example", "admin.example", "shop.example"} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, e.url, http.NoBody)
		req.Host = host
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || string(text) != host {
			t.Errorf("X-Forwarded-Host is %q, %v, want %q", text, err, host)
		}
	}
}

func TestBackendThatStaysKeepsItsConnections(t *testing.T) {
	t.Parallel()
	e, c := startRouter(t, protocol.HTTP, nil), newClient(t)
	stays := replica(t, "blue-1", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.RemoteAddr)
	})
	e.blue.Set([]router.Backend{stays})
	before := get(t, c, e.url).text
	e.blue.Set([]router.Backend{stays})
	if after := get(t, c, e.url).text; after != before {
		t.Errorf("the connection from %s was replaced by one from %s", before, after)
	}
}

func TestUpgradeToHTTP2StaysWithTheClient(t *testing.T) {
	t.Parallel()
	e, c := startRouter(t, protocol.HTTP, nil), newClient(t)
	e.blue.Set([]router.Backend{replica(t, "blue-1", func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%v %v %v", r.Header["Connection"], r.Header["Upgrade"], r.Header["Http2-Settings"])
	})})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, e.url, http.NoBody)
	req.Header = http.Header{
		"Connection": {"Upgrade, HTTP2-Settings"}, "Upgrade": {"h2c"}, "Http2-Settings": {"AAMAAABkAAQAAP__"},
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got, _ := io.ReadAll(res.Body); string(got) != "[] [] []" {
		t.Errorf("the replica was asked to upgrade: %s", got)
	}
}

func TestTrailersPass(t *testing.T) {
	t.Parallel()
	e, c := startRouter(t, protocol.HTTP, nil), newClient(t)
	e.blue.Set([]router.Backend{replica(t, "blue-1", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "Checksum")
		_, _ = io.WriteString(w, "text")
		w.Header().Set("Checksum", "42")
	})})
	if got := get(t, c, e.url); got.text != "text" || got.Trailer.Get("Checksum") != "42" {
		t.Errorf("%q with trailer %v", got.text, got.Trailer)
	}
}

func TestClientMaySpeakHTTP2(t *testing.T) {
	t.Parallel()
	e := startRouter(t, protocol.HTTP, nil)
	tell := func(version string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, version, " over ", r.Proto) }
	}
	e.blue.Set([]router.Backend{replica(t, "blue-1", tell("1.0.0"))})
	e.green.Set([]router.Backend{replica(t, "green-1", tell("2.0.0"))})
	c := newH2CClient(t)

	got := get(t, c, e.url)
	if got.text != "1.0.0 over HTTP/1.1" || got.Proto != "HTTP/2.0" {
		t.Errorf("%q, answered in %s", got.text, got.Proto)
	}
	e.Switch(e.green)
	if got := get(t, c, e.url); got.text != "2.0.0 over HTTP/1.1" {
		t.Errorf("after the switch %q answers", got.text)
	}
}

func newH2CClient(tb testing.TB) *http.Client {
	tb.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	tb.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}
