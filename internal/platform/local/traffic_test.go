// SPDX-License-Identifier: MPL-2.0

//go:build unix

package local_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// longTimeout is a drain timeout that no test reaches.
const longTimeout = time.Hour

// A request in flight at the switch is answered by the old environment, and the switch
// does not wait for it.
func TestRequestInFlightFinishesOnTheOldEnvironment(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{DrainTimeout: longTimeout})
	s.deployLive("1.0.0", 1)
	inFlight := s.startRequest()
	s.deployLive("2.0.0", 1)
	s.must(inFlight.finish())
	s.must(s.platform.Drain(t.Context(), bluegreen.Green))
}

// A stream that does not end is closed when the drain timeout is over. The switch does not
// wait for it.
func TestStreamsAreClosedWhenTheDrainTimeoutIsOver(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{DrainTimeout: 50 * time.Millisecond})
	s.deployLive("1.0.0", 1)
	stream := s.startRequest()
	socket := s.webSocket()
	s.deployLive("2.0.0", 1)
	if _, _, err := socket.Read(t.Context()); err == nil {
		t.Error("the WebSocket is still open")
	}
	if _, err := stream.response.Body.Read(make([]byte, 1)); err == nil {
		t.Error("the stream is still open")
	}
	s.must(s.platform.Drain(t.Context(), bluegreen.Green))
	s.expectVersion("2.0.0")
}

// A rollback within the drain timeout keeps the connections to the environment that is
// live again, and closes those to the other one. On a busy machine the rollback may come
// too late. The test then starts over with twice the timeout.
func TestRollbackKeepsTheConnectionsOfTheFormerRelease(t *testing.T) {
	t.Parallel()
	for timeout := 3 * time.Second; !rollsBackInTime(t, timeout); timeout *= 2 {
		t.Logf("the rollback may have come later than %s after the switch", timeout)
	}
}

// rollsBackInTime returns false if the switch and the rollback took longer than timeout.
func rollsBackInTime(t *testing.T, timeout time.Duration) bool {
	t.Helper()
	s := newService(t, local.Frontend{DrainTimeout: timeout})
	s.deployLive("1.0.0", 1)
	onGreen := s.webSocket()
	began := time.Now()
	s.deployLive("2.0.0", 1)
	onBlue := s.webSocket()
	s.must(s.Rollback(t.Context(), "in time"))
	if time.Since(began) >= timeout {
		return false
	}
	// Blue's timeout ends after green's would have ended.
	if _, _, err := onBlue.Read(t.Context()); err == nil {
		t.Error("the WebSocket on blue is still open")
	}
	s.must(onGreen.Write(t.Context(), websocket.MessageText, []byte("still there?")))
	if _, answer, err := onGreen.Read(t.Context()); err != nil || string(answer) != "still there?" {
		t.Errorf("the WebSocket on green says %q, %v", answer, err)
	}
	return true
}

// webSocket opens a WebSocket that echoes.
func (s *service) webSocket() *websocket.Conn {
	s.Helper()
	conn, response, err := websocket.Dial(s.Context(), s.endpoint()+"/ws", &websocket.DialOptions{HTTPClient: client})
	s.must(err)
	s.Cleanup(func() { _ = conn.CloseNow() })
	if response.Body != nil {
		response.Body.Close()
	}
	s.must(conn.Write(s.Context(), websocket.MessageText, []byte("hello")))
	_, _, err = conn.Read(s.Context())
	s.must(err)
	return conn
}

// A replica that is removed by scaling finishes its requests.
func TestScaleDownLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{DrainTimeout: longTimeout})
	s.deployLive("1.0.0", 3)
	var busy []*pendingRequest
	for range 3 {
		busy = append(busy, s.startRequest())
	}
	scaled := make(chan error, 1)
	go func() { scaled <- s.Scale(t.Context(), 1) }()
	for _, request := range busy {
		s.must(request.finish())
	}
	s.must(<-scaled)
	if got := s.instances(bluegreen.Green); len(got) != 1 || got[0].ID != "green-1" {
		t.Errorf("left are %v, want green-1", got)
	}
	s.expectVersion("1.0.0")
}

func TestNewReplicasGetTrafficOnceTheyHavePassed(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	unlock, err := s.platform.Lock(t.Context(), s.Actor)
	s.must(err)
	s.must(s.platform.Scale(t.Context(), bluegreen.Green, 2))
	for range 4 {
		_, id := get(t, s.endpoint()+"/env?BLUEGREEN_INCARNATION")
		if id != s.instances(bluegreen.Green)[0].Incarnation {
			t.Fatalf("%s answers, which has not passed", id)
		}
	}
	unlock()
	s.must(s.Scale(t.Context(), 3))
	answering := map[string]bool{}
	agenttest.Eventually(t, func() error {
		status, id := get(t, s.endpoint()+"/env?BLUEGREEN_INCARNATION")
		if status != http.StatusOK {
			t.Errorf("a client is answered %d %s", status, id)
		}
		answering[id] = true
		for _, instance := range s.instances(bluegreen.Green) {
			if !answering[instance.Incarnation] {
				return fmt.Errorf("%s has answered no request; answers came from %v", instance.ID, answering)
			}
		}
		return nil
	})
}

func TestPreviewShowsStagingBeforeItIsLive(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	if status, _ := get(t, s.preview()); status != http.StatusServiceUnavailable {
		t.Errorf("with nothing in staging the preview answers %d", status)
	}
	_, err := s.Deploy(t.Context(), agenttest.Release(t, "2.0.0", agenttest.Healthy))
	s.must(err)
	_, err = s.HealthCheck(t.Context())
	s.must(err)
	if status, body := get(t, s.preview()); status != http.StatusOK || body != "2.0.0" {
		t.Errorf("the preview answers %d %q", status, body)
	}
	s.expectVersion("1.0.0")
	s.must(s.Switch(t.Context()))
	s.expectVersion("2.0.0")
	if _, body := get(t, s.preview()); body != "1.0.0" {
		t.Errorf("after the switch the preview shows %q, want the standby", body)
	}
}

func TestAddressOfAnotherDeploymentIsNamed(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	address := strings.TrimPrefix(s.endpoint(), "http://")
	other := newServiceIn(t, s.dir, "other", local.Frontend{Listen: []string{address}})
	desired := bluegreen.Desired{Release: agenttest.Release(t, "1.0.0", agenttest.Healthy), Promote: true}
	_, err := other.Create(t.Context(), desired)
	var taken *local.AddressError
	if !errors.As(err, &taken) || taken.Address != address || taken.Deployment != "web" || taken.Preview {
		t.Errorf("got %v, want the deployment that has %s", err, address)
	}
	if _, err := other.platform.Load(t.Context()); !errors.Is(err, bluegreen.ErrNotFound) {
		t.Errorf("something was recorded: %v", err)
	}
	if err := local.CheckListen(s.dir, "other", address); !errors.As(err, &taken) || taken.Deployment != "web" {
		t.Errorf("the plan says %v", err)
	}
	if err := local.CheckListen(s.dir, "web", address); err != nil {
		t.Errorf("its own address is refused: %v", err)
	}
	for _, bad := range []string{"", "8080", "127.0.0.1:http:1", "127.0.0.1:99999"} {
		if err := local.CheckListen(s.dir, "web", bad); !errors.As(err, &taken) {
			t.Errorf("%q is accepted: %v", bad, err)
		}
	}
}

// The endpoint moves without a lost request. The old endpoint finishes its requests first.
func TestEndpointMovesToAnotherAddress(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{DrainTimeout: longTimeout})
	s.deployLive("1.0.0", 1)
	before := s.endpoint()
	inFlight := s.startRequest()

	address := agenttest.FreeAddress(t)
	s.platform = s.openWith(local.Frontend{Listen: []string{address}, DrainTimeout: longTimeout})
	s.Platform = s.platform
	s.deployLive("2.0.0", 1)
	if got := s.endpoint(); got != "http://"+address {
		t.Errorf("the endpoint is %s, want http://%s", got, address)
	}
	s.must(inFlight.finish())
	agenttest.Eventually(t, func() error {
		response, err := client.Get(before)
		if err == nil {
			response.Body.Close()
			return errors.New("the old endpoint still answers")
		}
		return nil
	})
	// The address stays when the configuration names none any more.
	s.platform = s.openWith(local.Frontend{DrainTimeout: longTimeout})
	s.Platform = s.platform
	s.must(s.Scale(t.Context(), 2))
	if got := s.endpoint(); got != "http://"+address {
		t.Errorf("the endpoint is %s, want http://%s", got, address)
	}
}

func (s *service) openWith(frontend local.Frontend) *local.Platform {
	s.Helper()
	return open(s, local.Options{StateDir: s.dir, Name: s.Deployment, Frontend: frontend}).platform
}

func TestSameAddressChangesItsProtocol(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	before := s.endpoint()
	s.platform = s.openWith(local.Frontend{Protocol: "tcp"})
	s.Platform = s.platform
	s.must(s.Scale(t.Context(), 2))
	if got, want := s.endpoint(), strings.Replace(before, "http", "tcp", 1); got != want {
		t.Errorf("the endpoint is %s, want %s", got, want)
	}
	if _, body := get(t, before); body != "1.0.0" {
		t.Errorf("through TCP a client is answered %q", body)
	}
}

// A deployment that listened on loopback listens on all addresses at the same port, and
// on loopback again. Clients that keep their connection are asked to open another one. No
// connection is cut, and no client gets the former release afterwards.
func TestSamePortAtMoreAddresses(t *testing.T) {
	t.Parallel()
	loopback := agenttest.FreeAddress(t)
	_, port, err := net.SplitHostPort(loopback)
	if err != nil {
		t.Fatal(err)
	}
	s := newService(t, local.Frontend{Listen: []string{loopback}, DrainTimeout: longTimeout})
	s.deployLive("1.0.0", 1)
	for i, listen := range []string{"0.0.0.0:" + port, loopback, ":" + port, loopback} {
		conn, err := net.Dial("tcp", loopback)
		s.must(err)
		defer conn.Close()
		answers := bufio.NewReader(conn)
		ask := func() (version string, closes bool) {
			_, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", loopback)
			s.must(err)
			response, err := http.ReadResponse(answers, nil)
			s.must(err)
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			s.must(err)
			return string(body), response.Close
		}
		if _, closes := ask(); closes {
			t.Errorf("%d: the client is asked to close the connection before the change", i)
		}
		version := fmt.Sprintf("%d.0.0", i+2)
		s.platform = s.openWith(local.Frontend{Listen: []string{listen}, DrainTimeout: longTimeout})
		s.Platform = s.platform
		s.deployLive(version, 1)
		if answer, closes := ask(); answer != version || !closes {
			t.Errorf("%s: on the kept connection the answer is %q, and closes it: %t", listen, answer, closes)
		}
		s.expectVersion(version)
		if _, err := net.Listen("tcp", listen); err == nil {
			t.Errorf("another process can listen on %s as well", listen)
		}
	}
}

// Another process took the address while no agent ran. The agent starts anyway.
func TestAddressTakenWhileNoAgentRan(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	before := s.runs(bluegreen.Green)
	agenttest.Kill(t, s.dir)
	free := agenttest.Occupy(t, strings.TrimPrefix(s.endpoint(), "http://"))
	s.ensureAgent()
	if got := s.runs(bluegreen.Green); !slices.Equal(got, before) {
		t.Errorf("the replica was %v and is %v", before, got)
	}
	if got := s.running(); got != 0 {
		t.Errorf("%d replicas count as running although no client can reach them", got)
	}
	err := s.DeployAndSwitch(t.Context(), agenttest.Release(t, "2.0.0", agenttest.Healthy))
	if err == nil || !strings.Contains(err.Error(), "address already in use") ||
		strings.Contains(err.Error(), "deployment") {
		t.Errorf("a deploy: %v", err)
	}
	free()
	s.must(s.platform.AwaitTraffic(t.Context(), bluegreen.Green))
	s.expectVersion("1.0.0")
	if got := s.running(); got != 1 {
		t.Errorf("%d replicas count as running, want 1", got)
	}
}

// Another process took the address of the preview while no agent ran. Live is served all the
// same, and the preview is back once the address is free.
func TestPreviewAddressTakenWhileNoAgentRan(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	preview := s.previewEndpoint()
	agenttest.Kill(t, s.dir)
	free := agenttest.Occupy(t, strings.TrimPrefix(preview, "http://"))
	s.ensureAgent()
	s.must(s.platform.AwaitTraffic(t.Context(), bluegreen.Green))
	s.expectVersion("1.0.0")
	if got := s.running(); got != 1 {
		t.Errorf("%d replicas count as running, want 1", got)
	}
	free()
	agenttest.Eventually(t, func() error {
		response, err := client.Get(preview)
		if err != nil {
			return err
		}
		response.Body.Close()
		if response.StatusCode != http.StatusServiceUnavailable {
			return errors.New("the empty preview answers " + response.Status)
		}
		return nil
	})
	if got := s.previewEndpoint(); got != preview {
		t.Errorf("the preview was %s and is %s", preview, got)
	}
}

// The port of the preview was chosen by the agent, and is taken. A deploy chooses another one.
func TestDeployChoosesAnotherPortForThePreview(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	preview := s.previewEndpoint()
	agenttest.Kill(t, s.dir)
	defer agenttest.Occupy(t, strings.TrimPrefix(preview, "http://"))()
	s.deployLive("2.0.0", 1)
	s.expectVersion("2.0.0")
	if got := s.previewEndpoint(); got == preview {
		t.Errorf("the preview is still %s", got)
	}
	if status, body := get(t, s.previewEndpoint()); status != http.StatusOK || body != "1.0.0" {
		t.Errorf("the preview answers %d %s, want the standby", status, body)
	}
}
