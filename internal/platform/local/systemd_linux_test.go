// SPDX-License-Identifier: MPL-2.0

package local_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// serviceManager starts agents as systemd starts them. It has what they ask it to keep.
type serviceManager struct {
	testing.TB
	address string
	conn    *net.UnixConn
	ended   chan struct{}
	started []*unitProcess

	mu sync.Mutex
	// messages are all that came, and kept the files by their names.
	messages []string
	kept     map[string]*os.File
	// mains are the processes that were started.
	mains []int
}

// newServiceManager returns a service manager with a socket at address. Call it before StateDir,
// which stops the agent in the end.
func newServiceManager(t testing.TB, address string) *serviceManager {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		err = raw.Control(func(descriptor uintptr) {
			if err := unix.SetsockoptInt(int(descriptor), unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
				t.Error(err)
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	m := &serviceManager{TB: t, address: address, conn: conn, ended: make(chan struct{}), kept: map[string]*os.File{}}
	go m.listen()
	t.Cleanup(func() {
		for _, agent := range m.started {
			agent.wait()
		}
		conn.Close()
		<-m.ended
		for _, file := range m.kept {
			file.Close()
		}
	})
	return m
}

func (m *serviceManager) listen() {
	defer close(m.ended)
	content, rights := make([]byte, 4096), make([]byte, unix.CmsgSpace(4)+unix.CmsgSpace(unix.SizeofUcred))
	for {
		n, size, _, _, err := m.conn.ReadMsgUnix(content, rights)
		if err != nil {
			return
		}
		m.mu.Lock()
		m.heed(string(content[:n]), rights[:size])
		m.mu.Unlock()
	}
}

// heed does what a message asks for. As with NotifyAccess=main, only the process that was
// started may send one.
func (m *serviceManager) heed(message string, rights []byte) {
	m.messages = append(m.messages, message)
	_, name, _ := strings.Cut(message, "FDNAME=")
	sender, descriptors, err := parseRights(rights)
	if err != nil || !slices.Contains(m.mains, int(sender)) {
		m.Errorf("%q comes from process %d, %v; want one of %v", message, sender, err, m.mains)
		return
	}
	switch {
	case strings.HasPrefix(message, "FDSTORE=1\n"):
		if len(descriptors) != 1 || m.kept[name] != nil || strings.ContainsAny(name, ":\n") {
			m.Errorf("%q comes with the descriptors %v", message, descriptors)
			return
		}
		unix.CloseOnExec(descriptors[0])
		m.kept[name] = os.NewFile(uintptr(descriptors[0]), name)
	case strings.HasPrefix(message, "FDSTOREREMOVE=1\n"):
		if m.kept[name] == nil {
			m.Errorf("%q, which is not there", name)
			return
		}
		m.kept[name].Close()
		delete(m.kept, name)
	}
}

// parseRights returns the process that has sent a message, and the files that came with it.
func parseRights(rights []byte) (sender int32, descriptors []int, err error) {
	control, err := unix.ParseSocketControlMessage(rights)
	for _, c := range control {
		if c.Header.Type == unix.SCM_CREDENTIALS {
			credentials, credentialsErr := unix.ParseUnixCredentials(&c)
			if err = errors.Join(err, credentialsErr); err == nil {
				sender = credentials.Pid
			}
			continue
		}
		files, filesErr := unix.ParseUnixRights(&c)
		descriptors, err = append(descriptors, files...), errors.Join(err, filesErr)
	}
	return sender, descriptors, err
}

// file returns the file that it keeps under this name.
func (m *serviceManager) file(name string) *os.File {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept[name]
}

// names are those of the files that it keeps.
func (m *serviceManager) names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.kept))
}

// count returns how many messages have come that begin with prefix.
func (m *serviceManager) count(prefix string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, message := range m.messages {
		if strings.HasPrefix(message, prefix) {
			n++
		}
	}
	return n
}

// start starts an agent with the files that are kept and these further variables. It returns
// when the agent is ready.
func (m *serviceManager) start(dir string, environ []string, flags ...string) *unitProcess {
	m.Helper()
	self, err := os.Executable()
	if err != nil {
		m.Fatal(err)
	}
	names := m.names()
	ready := m.count("READY=1\n")
	// Only the process itself knows its ID before it runs.
	arguments := append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, self, "agent", "-state-dir", dir}, flags...)
	agent := exec.Command("/bin/sh", arguments...)
	agent.Env = append(append(os.Environ(), "NOTIFY_SOCKET="+m.address,
		"LISTEN_FDS="+strconv.Itoa(len(names)), "LISTEN_FDNAMES="+strings.Join(names, ":")), environ...)
	for _, name := range names {
		agent.ExtraFiles = append(agent.ExtraFiles, m.kept[name])
	}
	// It is a file, because the process may leave others that write to it.
	output, err := os.CreateTemp(m.TempDir(), "output")
	if err != nil {
		m.Fatal(err)
	}
	agent.Stdout, agent.Stderr = output, output
	m.mu.Lock()
	err = agent.Start()
	if err == nil {
		m.mains = append(m.mains, agent.Process.Pid)
	}
	m.mu.Unlock()
	if err != nil {
		m.Fatal(err)
	}
	p := &unitProcess{TB: m, process: agent.Process}
	p.wait = sync.OnceFunc(func() {
		err := agent.Wait()
		defer output.Close()
		_, seekErr := output.Seek(0, io.SeekStart)
		printed, readErr := io.ReadAll(output)
		if readErr = errors.Join(seekErr, readErr); readErr != nil || err != nil && len(printed) > 0 && !p.mayFail {
			m.Errorf("the agent ends with %v: %s, %v", err, printed, readErr)
		}
	})
	m.started = append(m.started, p)
	agenttest.Eventually(m, func() error {
		if m.count("READY=1\n") == ready {
			return fmt.Errorf("the agent is not ready: %s", agenttest.Log(m, dir))
		}
		return nil
	})
	return p
}

// unitProcess is an agent that a serviceManager has started.
type unitProcess struct {
	testing.TB
	process *os.Process
	wait    func()
	// mayFail is set if an exit status and what it prints are no error.
	mayFail bool
}

// end sends a signal and returns when the process has ended.
func (p *unitProcess) end(with syscall.Signal) {
	p.Helper()
	if err := p.process.Signal(with); err != nil {
		p.Fatal(err)
	}
	p.wait()
}

// waitingClient has sent a request that is not answered yet.
type waitingClient struct{ conn net.Conn }

// request connects to the host of a URL and sends a request.
func request(t testing.TB, of string) waitingClient {
	t.Helper()
	parsed, err := url.Parse(of)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", parsed.Host)
	if err != nil {
		t.Fatalf("a client is not let in: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	path := parsed.Path
	if path == "" {
		path = "/"
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
	return waitingClient{conn}
}

// answer waits for the answer.
func (c waitingClient) answer() (string, error) {
	response, err := http.ReadResponse(bufio.NewReader(c.conn), nil)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	return string(body), err
}

// While no agent runs, clients wait at the sockets that the service manager keeps: those of live,
// of the preview and of the metrics. The next agent answers all of them.
func TestClientsWaitWhileTheServiceManagerRestartsTheAgent(t *testing.T) {
	t.Parallel()
	for _, how := range []struct {
		name, socket string
		signal       syscall.Signal
	}{
		{"SIGTERM", filepath.Join(t.TempDir(), "notify"), syscall.SIGTERM},
		{"SIGKILL", "@bluegreen-test-" + strconv.Itoa(os.Getpid()), syscall.SIGKILL},
	} {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel()
			manager := newServiceManager(t, how.socket)
			s := newServiceIn(t, agenttest.StateDir(t), "web", local.Frontend{})
			metrics := agenttest.FreeAddress(t)
			agent := manager.start(s.dir, nil, "-metrics-listen", metrics)
			s.deployLive("1.0.0", 2)
			s.must(errOf(s.Deploy(s.Context(), agenttest.Release(t, "2.0.0", agenttest.Healthy))))
			s.must(errOf(s.HealthCheck(s.Context())))
			live, preview := s.endpoint(), s.previewEndpoint()
			agenttest.Eventually(t, func() error {
				if names := manager.names(); len(names) != 3 {
					return fmt.Errorf("it keeps %v", names)
				}
				return nil
			})

			agent.end(how.signal)
			var clients []waitingClient
			for range 10 {
				clients = append(clients, request(t, live), request(t, preview))
			}
			scrape := request(t, "http://"+metrics+"/metrics")
			manager.start(s.dir, nil, "-metrics-listen", metrics)

			for i, client := range clients {
				want := []string{"1.0.0", "2.0.0"}[i%2]
				if got, err := client.answer(); err != nil || got != want {
					t.Errorf("client %d is answered %q, %v; want %q", i, got, err, want)
				}
			}
			if got, err := scrape.answer(); err != nil || !strings.Contains(got, "bluegreen_router_requests_total") {
				t.Errorf("the metrics are %q, %v", got, err)
			}
			if n := manager.count("STOPPING=1\n"); n != map[syscall.Signal]int{syscall.SIGTERM: 1}[how.signal] {
				t.Errorf("%d agents say that they end", n)
			}
		})
	}
}

// The service manager keeps what clients connect to, and nothing else.
func TestServiceManagerForgetsWhatNobodyListensOn(t *testing.T) {
	t.Parallel()
	manager := newServiceManager(t, filepath.Join(t.TempDir(), "notify"))
	mustKeep := func(addresses ...string) {
		t.Helper()
		var want []string
		for _, address := range addresses {
			want = append(want, "tcp-"+strings.ReplaceAll(strings.TrimPrefix(address, "http://"), ":", "_"))
		}
		slices.Sort(want)
		agenttest.Eventually(t, func() error {
			if got := manager.names(); !slices.Equal(got, want) {
				return fmt.Errorf("it keeps %v, want %v", got, want)
			}
			return nil
		})
	}
	dir, first, second := agenttest.StateDir(t), agenttest.FreeAddress(t), agenttest.FreeAddress(t)
	metrics := agenttest.FreeAddress(t)
	agent := manager.start(dir, nil, "-metrics-listen", metrics)
	s := newServiceIn(t, dir, "web", local.Frontend{Listen: []string{first}})
	s.deployLive("1.0.0", 1)
	preview := s.previewEndpoint()
	mustKeep(first, preview, metrics)

	// Another address.
	s = open(t, local.Options{StateDir: dir, Name: "web", Frontend: local.Frontend{Listen: []string{second}}})
	s.deployLive("2.0.0", 1)
	mustKeep(second, preview, metrics)

	// An agent that serves no metrics.
	agent.end(syscall.SIGTERM)
	manager.start(dir, nil)
	mustKeep(second, preview)
	if conn, err := net.Dial("tcp", metrics); err == nil {
		conn.Close()
		t.Error("a client waits for metrics that nobody serves")
	}
	s.expectVersion("2.0.0")

	s.must(s.Destroy(context.WithoutCancel(t.Context())))
	mustKeep()
	if n := manager.count("STATUS=Serves deployments: 0"); n == 0 {
		t.Errorf("the status does not follow: %q", manager.messages)
	}
}

// A service manager may pass what is no listener. The agent serves without it. Neither the agent's
// replicas nor their commands get what is meant for the agent.
func TestReplicasGetNothingOfTheServiceManager(t *testing.T) {
	t.Parallel()
	manager := newServiceManager(t, filepath.Join(t.TempDir(), "notify"))
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	manager.kept["stdin"] = writer
	s := newServiceIn(t, agenttest.StateDir(t), "web", local.Frontend{})
	agent := manager.start(s.dir, nil)
	s.deployLive("1.0.0", 1)
	// The agent has asked to have it closed, and no process holds it open.
	s.must(reader.SetReadDeadline(time.Now().Add(time.Minute)))
	if n, err := reader.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("reading the pipe returns %d, %v", n, err)
	}
	agent.end(syscall.SIGTERM)
	manager.start(s.dir, nil)

	const isUnset = `test -z "$NOTIFY_SOCKET$LISTEN_FDS$LISTEN_PID$LISTEN_FDNAMES$WATCHDOG_USEC"`
	for _, instance := range s.instances(bluegreen.Green) {
		s.must(s.platform.Exec(t.Context(), instance, []string{"sh", "-c", isUnset}))
	}
	variables := environOf(t, s.pids()["replica"])
	for _, name := range []string{"NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"} {
		if value, isSet := variables[name]; isSet {
			t.Errorf("in the replica %s is %q", name, value)
		}
	}
	for descriptor, target := range descriptorsOf(t, s.pids()["replica"]) {
		for _, name := range manager.names() {
			if socket := inodeOf(t, manager.file(name)); target == fmt.Sprintf("socket:[%d]", socket) {
				t.Errorf("descriptor %s of the replica is the socket %s", descriptor, name)
			}
		}
	}
}

// descriptorsOf returns what the descriptors of a process are.
func descriptorsOf(t testing.TB, pid int) map[string]string {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	targets := map[string]string{}
	for _, entry := range entries {
		if targets[entry.Name()], err = os.Readlink(filepath.Join(dir, entry.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return targets
}

func inodeOf(t testing.TB, file *os.File) uint64 {
	t.Helper()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	status, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatalf("%s has no inode", file.Name())
	}
	return status.Ino
}

// An agent that hangs no longer says that it is alive.
func TestAgentTellsTheServiceManagerThatItIsAlive(t *testing.T) {
	t.Parallel()
	manager := newServiceManager(t, filepath.Join(t.TempDir(), "notify"))
	manager.start(agenttest.StateDir(t), []string{"WATCHDOG_USEC=20000"})
	before := manager.count("WATCHDOG=1")
	agenttest.Eventually(t, func() error {
		if manager.count("WATCHDOG=1") < before+3 {
			return errors.New("it does not say so again and again")
		}
		return nil
	})
}
