// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agent

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// tunnel is a client that reaches an agent through `agent connect`, like one on another
// host.
type tunnel struct {
	*client.Client
	// opened counts the connections.
	opened atomic.Int32
	// child carries the last of them.
	child *exec.Cmd
}

func newTunnel(t *testing.T, dir store.Dir) *tunnel {
	t.Helper()
	tun := &tunnel{}
	tun.Client = client.NewRemote(func(context.Context) (net.Conn, error) {
		tun.opened.Add(1)
		child := exec.Command(os.Args[0], "connect", "-state-dir", string(dir))
		in, err := child.StdinPipe()
		if err != nil {
			return nil, err
		}
		out, err := child.StdoutPipe()
		if err != nil {
			return nil, err
		}
		tun.child = child
		// It ends with its stdin; how is of no interest.
		ended := sync.OnceFunc(func() { _ = child.Wait() })
		return &pipes{out, in, ended}, child.Start()
	})
	t.Cleanup(tun.Close)
	return tun
}

// lockDeployment locks a deployment as holder.
func lockDeployment(t *testing.T, c *client.Client, name, holder string) *client.Lock {
	t.Helper()
	held, err := c.Lock(t.Context(), name, holder)
	if err != nil {
		t.Fatal(err)
	}
	return held
}

// pipes are the stdin and stdout of a command as a connection.
type pipes struct {
	io.ReadCloser
	in io.WriteCloser
	// ended waits until the command has.
	ended func()
}

func (p *pipes) Write(b []byte) (int, error) { return p.in.Write(b) }

func (p *pipes) Close() error {
	err := p.in.Close()
	p.ended()
	return err
}

func (p *pipes) LocalAddr() net.Addr              { return &net.UnixAddr{} }
func (p *pipes) RemoteAddr() net.Addr             { return &net.UnixAddr{} }
func (p *pipes) SetDeadline(time.Time) error      { return nil }
func (p *pipes) SetReadDeadline(time.Time) error  { return nil }
func (p *pipes) SetWriteDeadline(time.Time) error { return nil }

// startEchoReplica starts a replica outside of the agent: it says hello and repeats what it hears.
func startEchoReplica(t *testing.T, id string) store.ExternalReplica {
	t.Helper()
	return startReplica(t, id, func(conn net.Conn) {
		_, _ = io.Copy(conn, io.MultiReader(strings.NewReader("hello from "+id+"\n"), conn))
	})
}

// startReplica starts a replica that calls talk with every connection, and hangs up.
func startReplica(t *testing.T, id string, talk func(net.Conn)) store.ExternalReplica {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				talk(conn)
			}()
		}
	}()
	return store.ExternalReplica{ID: id, Incarnation: "first", Address: listener.Addr().String()}
}

func TestRemoteClientReachesReplicasOverItsOneConnection(t *testing.T) {
	t.Parallel()
	c := newTunnel(t, newTestAgent(t).dir)
	held := lockDeployment(t, c.Client, "web", "somebody")
	defer held.Unlock()
	replicas := []store.ExternalReplica{startEchoReplica(t, "green-1"), startEchoReplica(t, "green-2")}
	if err := held.Route(t.Context(), bluegreen.Green, replicas); err != nil {
		t.Fatal(err)
	}

	for _, id := range []string{"green-1", "green-2"} {
		ref := bluegreen.InstanceRef{ID: id, Incarnation: "first"}
		conn, err := c.DialReplica(t.Context(), "web", bluegreen.Green, ref)
		if err != nil {
			t.Fatal(err)
		}
		replica := bufio.NewReader(conn)
		if greeting, err := replica.ReadString('\n'); err != nil || greeting != "hello from "+id+"\n" {
			t.Errorf("%s: %q, %v", id, greeting, err)
		}
		if _, err := io.WriteString(conn, "and to you\n"); err != nil {
			t.Error(err)
		}
		if echo, err := replica.ReadString('\n'); err != nil || echo != "and to you\n" {
			t.Errorf("%s: %q, %v", id, echo, err)
		}
		conn.Close()
	}
	if n := c.opened.Load(); n != 1 {
		t.Errorf("it took %d connections", n)
	}
}

func TestOnlyRegisteredReplicasAreDialled(t *testing.T) {
	t.Parallel()
	c := newTunnel(t, newTestAgent(t).dir)
	held := lockDeployment(t, c.Client, "web", "somebody")
	defer held.Unlock()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	replica := store.ExternalReplica{ID: "green-1", Incarnation: "first", Address: closed.Addr().String()}
	if err := held.Route(t.Context(), bluegreen.Green, []store.ExternalReplica{replica}); err != nil {
		t.Fatal(err)
	}

	for name, refused := range map[string]struct {
		ref  bluegreen.InstanceRef
		says string
	}{
		"another run":   {bluegreen.InstanceRef{ID: "green-1", Incarnation: "second"}, "no instance"},
		"another place": {bluegreen.InstanceRef{ID: "green-2", Incarnation: "first"}, "no instance"},
		"closed port":   {bluegreen.InstanceRef{ID: "green-1", Incarnation: "first"}, "connection refused"},
	} {
		_, err := c.DialReplica(t.Context(), "web", bluegreen.Green, refused.ref)
		if err == nil || !strings.Contains(err.Error(), refused.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = c.DialReplica(t.Context(), "other", bluegreen.Green, bluegreen.InstanceRef{ID: "green-1"})
	if !errors.Is(err, bluegreen.ErrNotFound) {
		t.Errorf("another deployment: %v", err)
	}
	for name, replicas := range map[string][]store.ExternalReplica{
		"twice":              {{ID: "a", Address: "127.0.0.1:1"}, {ID: "a", Address: "127.0.0.1:2"}},
		"without an ID":      {{Address: "127.0.0.1:1"}},
		"without an address": {{ID: "a", Address: "127.0.0.1"}},
	} {
		if err := held.Route(t.Context(), bluegreen.Green, replicas); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
}

// The lock dies with the process that holds it, however far away that is.
func TestRemoteLockEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	near := newTestAgent(t)
	c := newTunnel(t, near.dir)
	held := lockDeployment(t, c.Client, "web", "somebody far away")
	var busy *bluegreen.LockedError
	_, err := near.Lock(t.Context(), "web", "somebody here")
	if !errors.As(err, &busy) || busy.Holder.Name != "somebody far away" {
		t.Fatalf("the lock is not held: %v", err)
	}

	if err := c.child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for {
		next, err := near.Lock(t.Context(), "web", "somebody here")
		if err == nil {
			next.Unlock()
			break
		}
		if !errors.As(err, &busy) {
			t.Fatal(err)
		}
	}
	// The first one finds the connection broken, and the next one the lock gone.
	first, second := held.Route(t.Context(), bluegreen.Green, nil), held.Route(t.Context(), bluegreen.Green, nil)
	if first == nil || !errors.Is(second, api.ErrLockLost) {
		t.Errorf("changes after the lock was lost: %v, then %v", first, second)
	}
	if _, err := c.Deployment(t.Context(), "web"); !errors.Is(err, bluegreen.ErrNotFound) {
		t.Errorf("the client does not connect again: %v", err)
	}
}

func TestConnectSaysThatNoAgentRuns(t *testing.T) {
	t.Parallel()
	err := relay([]string{"-state-dir", t.TempDir() + "/s"}, strings.NewReader(""), io.Discard)
	if !errors.Is(err, api.ErrNotRunning) {
		t.Errorf("got %v", err)
	}
}

func TestConnectWaitsForAnAgentThatIsAboutToListen(t *testing.T) {
	t.Parallel()
	dir := newStateDir(t)
	ended := make(chan error, 1)
	in, from := io.Pipe()
	go func() { ended <- relay([]string{"-state-dir", string(dir), "-patience", "1m"}, in, io.Discard) }()
	listener, err := listenSocket(dir.Socket())
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := errors.Join(from.Close(), <-ended); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestTargetsOutliveTheAgent(t *testing.T) {
	t.Parallel()
	c := newTestAgent(t)
	held := lockDeployment(t, c.Client, "web", "somebody")
	defer held.Unlock()
	want := store.ExternalReplica{ID: "green-1", Incarnation: "first", Address: "127.0.0.1:1"}
	err := errors.Join(
		held.StoreContainerSpec(t.Context(), bluegreen.Green, []byte(`{"env":{"TOKEN":"secret"}}`)),
		held.Route(t.Context(), bluegreen.Green, []store.ExternalReplica{want}),
	)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := held.ContainerSpec(t.Context(), bluegreen.Green)
	if err != nil || !strings.Contains(string(kept), "secret") {
		t.Errorf("kept %q, %v", kept, err)
	}

	dir := store.EnvironmentDir(c.dir.Deployment("web"), bluegreen.Green)
	info, err := os.Stat(filepath.Join(dir, "targets.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the file: %v, %v", info, err)
	}
	read, err := readEnvironment(dir, slog.New(slog.DiscardHandler))
	if err != nil || len(read.external.Replicas) != 1 || read.external.Replicas[0] != want {
		t.Errorf("the next agent reads %+v, %v", read.external, err)
	}

	if err := held.Remove(t.Context(), bluegreen.Green); err != nil {
		t.Fatal(err)
	}
	if read, err = readEnvironment(dir, slog.New(slog.DiscardHandler)); err != nil || !read.external.IsEmpty() {
		t.Errorf("after the removal: %+v, %v", read.external, err)
	}
}

// What a torn file would say is not guessed, and closes no deployment. That of a newer version does.
func TestTornTargetsAreNotUsed(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"torn": `{"schema": 1, "targ`, "newer": `{"schema": 2}`,
		"no address": `{"schema": 1, "targets": [{"id": "green-1", "address": "nowhere"}]}`,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "targets.json"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		var unreadable *durable.UnreadableError
		read, err := readEnvironment(dir, slog.New(slog.DiscardHandler))
		if isNewer := name == "newer"; (err != nil) != isNewer || !isNewer && !errors.As(read.problem, &unreadable) {
			t.Errorf("%s: %v, %v", name, read.problem, err)
		}
	}
}

func TestLastHolderThatIsDoneEndsTheAgent(t *testing.T) {
	t.Parallel()
	c := newTestAgent(t)
	first := lockDeployment(t, c.Client, "web", "somebody")
	second := lockDeployment(t, c.Client, "other", "somebody else")
	if ends, err := first.EndAgentIfUnused(t.Context()); err != nil || ends {
		t.Errorf("the first one that is done: ends %t, %v", ends, err)
	}
	// The first lock is still held.
	if ends, err := second.EndAgentIfUnused(t.Context()); err != nil || !ends {
		t.Errorf("the last one that is done: ends %t, %v", ends, err)
	}
	first.Unlock()
	if _, err := c.PID(t.Context()); err != nil {
		t.Errorf("it left while the one who ended it holds a lock: %v", err)
	}
	second.Unlock()
}

func TestAllThatAReplicaSaysArrives(t *testing.T) {
	t.Parallel()
	c := newTunnel(t, newTestAgent(t).dir)
	held := lockDeployment(t, c.Client, "web", "somebody")
	defer held.Unlock()
	curt := startReplicaThatHangsUp(t, "green-1")
	if err := held.Route(t.Context(), bluegreen.Green, []store.ExternalReplica{curt}); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		ref := bluegreen.InstanceRef{ID: curt.ID, Incarnation: curt.Incarnation}
		conn, err := c.DialReplica(t.Context(), "web", bluegreen.Green, ref)
		if err != nil {
			t.Fatal(err)
		}
		if said, err := io.ReadAll(conn); err != nil || string(said) != "bye" {
			t.Fatalf("heard %q, %v", said, err)
		}
		conn.Close()
	}
}

// startReplicaThatHangsUp starts a replica that says bye and hangs up.
func startReplicaThatHangsUp(t *testing.T, id string) store.ExternalReplica {
	t.Helper()
	return startReplica(t, id, func(conn net.Conn) { _, _ = io.WriteString(conn, "bye") })
}

func TestAgentEndsOnlyWhenNothingNeedsIt(t *testing.T) {
	t.Parallel()
	c := newTestAgent(t)
	web := lockDeployment(t, c.Client, "web", "somebody")
	defer web.Unlock()
	ends := func(want bool, why string) {
		t.Helper()
		if got, err := web.EndAgentIfUnused(t.Context()); err != nil || got != want {
			t.Errorf("%s: ends %t, %v", why, got, err)
		}
	}

	other := lockDeployment(t, c.Client, "other", "somebody else")
	ends(false, "another deployment is worked on")
	other.Unlock()
	if err := web.StoreContainerSpec(t.Context(), bluegreen.Blue, []byte("x")); err != nil {
		t.Fatal(err)
	}
	ends(false, "something runs")
	if err := web.Remove(t.Context(), bluegreen.Blue); err != nil {
		t.Fatal(err)
	}
	ends(true, "nothing is left")
	if _, err := c.Lock(t.Context(), "other", "late"); !client.IsUnavailable(err) {
		t.Errorf("a lock after that: %v", err)
	}
}
