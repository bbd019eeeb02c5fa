// SPDX-License-Identifier: MPL-2.0

//go:build corpus

package router_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

// otherPatience is how long another proxy may take. What it does not do costs this time.
const otherPatience = 2 * time.Second

// otherProxy is a proxy of another make: how to configure it for one story after the
// other, each with a front and a replica of its own, and how to start it.
type otherProxy struct {
	name, before, each, after string
	command                   func(config string) *exec.Cmd
}

var otherProxies = []otherProxy{
	{
		name: "haproxy",
		before: `
defaults
  mode http
  timeout connect 2s
  timeout client 10s
  timeout server 10s
`,
		each: `
listen story%[1]d
  bind %[2]s
  http-request set-header X-Forwarded-For %%[src]
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %%[req.hdr(host)]
  server replica %[3]s
`,
		command: func(config string) *exec.Cmd { return exec.Command("haproxy", "-db", "-f", config) },
	},
	{
		name: "nginx",
		// Without buffering, so that it can stream; with connections that it keeps.
		before: `
daemon off;
master_process off;
pid nginx.pid;
error_log error.log;
events { worker_connections 8192; }
http {
  access_log off;
  server_tokens off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  proxy_http_version 1.1;
  proxy_buffering off;
  proxy_request_buffering off;
  proxy_set_header Connection "";
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Proto http;
  proxy_set_header X-Forwarded-Host $http_host;
`,
		each: `
  upstream story%[1]d { server %[3]s; keepalive 16; }
  server { listen %[2]s; location / { proxy_pass http://story%[1]d; } }
`,
		after: "}\n",
		command: func(config string) *exec.Cmd {
			dir := filepath.Dir(config)
			return exec.Command("nginx", "-p", dir, "-c", config, "-e", filepath.Join(dir, "error.log"))
		},
	},
}

// TestCorpusBesideOthers prints what our router and the proxies that are installed do of
// the corpus. It judges nobody: TestCorpus is the test of our router.
func TestCorpusBesideOthers(t *testing.T) {
	ours := make([]*stage, len(corpus()))
	for i := range ours {
		ours[i] = routerStage(t, otherPatience)
	}
	names, columns := []string{"ours"}, [][]string{playAll(ours)}
	for _, other := range otherProxies {
		if _, err := exec.LookPath(other.name); err != nil {
			fmt.Printf("%s is not installed\n", other.name)
			continue
		}
		names, columns = append(names, other.name), append(columns, playAll(other.start(t)))
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(table, "\n\t%s\n", strings.Join(names, "\t"))
	asTold := make([]int, len(names))
	for i, story := range corpus() {
		row := []string{story.name}
		for j, column := range columns {
			if column[i] == "" {
				asTold[j]++
				row = append(row, "as told")
				continue
			}
			row = append(row, fmt.Sprintf("%.60q", column[i]))
		}
		_, _ = fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	row := fmt.Sprintf("as told, of %d", len(corpus()))
	for _, n := range asTold {
		row += fmt.Sprintf("\t%d", n)
	}
	_, _ = fmt.Fprintln(table, row)
	if err := table.Flush(); err != nil {
		t.Fatal(err)
	}
}

// playAll plays each story on its stage, a few at a time. It returns what happened instead.
func playAll(stages []*stage) []string {
	instead := make([]string, len(stages))
	var playing sync.WaitGroup
	turns := make(chan struct{}, 8)
	for i, story := range corpus() {
		turns <- struct{}{}
		playing.Go(func() {
			defer func() { <-turns }()
			defer stages[i].close()
			line, got := stages[i].play(story.text)
			if instead[i] = got; got != "" {
				who, _, _ := strings.Cut(line, " ")
				instead[i] = strings.TrimSpace(who + " " + got)
			}
		})
	}
	playing.Wait()
	return instead
}

// start starts the proxy with one front for each story, and returns their stages.
func (o *otherProxy) start(t *testing.T) []*stage {
	t.Helper()
	stages := make([]*stage, len(corpus()))
	config := o.before
	var fronts []net.Listener
	for i := range stages {
		s := newStage(listen(t), otherPatience)
		t.Cleanup(s.close)
		front := listen(t)
		s.front = front.Addr().String()
		stages[i] = s
		config += fmt.Sprintf(o.each, i, s.front, s.listener.Addr())
		fronts = append(fronts, front)
	}
	// The ports are free again, and the proxy takes them.
	for _, front := range fronts {
		front.Close()
	}
	file := filepath.Join(t.TempDir(), o.name+".conf")
	if err := os.WriteFile(file, []byte(config+o.after), 0o600); err != nil {
		t.Fatal(err)
	}
	command := o.command(file)
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	for _, s := range stages {
		waitUntilItListens(t, o.name, s.front)
	}
	return stages
}

func waitUntilItListens(t *testing.T, name, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			conn.Close()
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("%s does not listen: %v", name, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
