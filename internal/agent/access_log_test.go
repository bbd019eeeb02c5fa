// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
)

// lineLength is how long the lines are that fill writes.
const lineLength = 16 << 10

// logFiles returns the names of the files of the access log in dir.
func logFiles(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "access*.log*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// fill has eight requests at a time log lines, each with a number from first on.
func fill(t *testing.T, log *accessLogFile, first, megabytes int) (next int) {
	t.Helper()
	const writers = 8
	each := megabytes << 20 / lineLength / writers
	var writing sync.WaitGroup
	for i := range writers {
		writing.Go(func() {
			for n := range each {
				line := fmt.Sprintf("%08d%s\n", first+i*each+n, strings.Repeat("x", lineLength-9))
				if written, err := log.Write([]byte(line)); written != lineLength || err != nil {
					t.Errorf("%d bytes are written, %v", written, err)
				}
			}
		})
	}
	writing.Wait()
	return first + writers*each
}

// What the access log takes is bounded, and no line is lost or torn by that.
func TestAccessLogIsRotated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := newAccessLogFile(dir, func() error { return nil })
	t.Cleanup(log.close)
	count := fill(t, log, 0, 35)
	files, seen := logFiles(t, dir), make([]bool, count)
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(content) > 10<<20 {
			t.Errorf("a file has %d bytes", len(content))
		}
		for line := range bytes.Lines(content) {
			n, err := strconv.Atoi(string(line[:min(8, len(line))]))
			if err != nil || len(line) != lineLength || seen[n] {
				t.Fatalf("a line has %d bytes and begins with %.8q, or is there twice", len(line), line)
			}
			seen[n] = true
		}
	}
	if n := slices.Index(seen, false); n >= 0 {
		t.Errorf("line %d of %d is lost", n, count)
	}
	if len(files) != 4 {
		t.Errorf("35 MB are in %d files", len(files))
	}

	fill(t, log, count, 30)
	(&routed{T: t}).eventually(func() error {
		// The oldest are removed in the background.
		if files := logFiles(t, dir); len(files) != 4 {
			return fmt.Errorf("65 MB are in %d files", len(files))
		}
		return nil
	})
}

// get makes a request on the only connection of c. When its answer has come, the requests
// before it have been logged.
func (r *routed) get(c *http.Client, path string) {
	r.Helper()
	response, err := c.Get(r.endpoint + path)
	if err != nil {
		r.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
		r.Fatalf("%s: %s, %v", path, response.Status, err)
	}
}

// The access log begins and ends with an update.
func TestAccessLogEndsWithItsSetting(t *testing.T) {
	t.Parallel()
	r, replica := newRouted(t), webServer(t, "green-1")
	r.route(replica)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	visitor := &http.Client{Transport: transport}
	for i, log := range []store.AccessLog{"", store.AccessLogFile, "", store.AccessLogFile} {
		r.makeLiveBehind(store.Frontend{DrainTimeout: longTimeout, AccessLog: log}, replica)
		r.get(visitor, fmt.Sprintf("/%d", i))
		r.get(visitor, "/")
	}
	var paths []string
	content, err := os.ReadFile(filepath.Join(r.client.dir.Deployment("web"), store.AccessLogName))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(content) {
		var entry struct{ Path string }
		if err := json.Unmarshal(line, &entry); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, entry.Path)
	}
	// The last request may not have been logged yet.
	if want := []string{"/1", "/", "/3"}; len(paths) < 3 || !slices.Equal(paths[:3], want) {
		t.Errorf("logged are %q, want %q", paths, want)
	}
}

// The access log goes with its deployment, and what is in flight then does not bring it back.
func TestAccessLogIsGoneWithItsDeployment(t *testing.T) {
	t.Parallel()
	for name, isLogged := range map[string]bool{"the first request is in flight": false, "one was logged": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arrived := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					close(arrived)
					<-r.Context().Done()
				}
			}))
			t.Cleanup(server.Close)
			r := newRouted(t)
			replica := store.ExternalReplica{
				ID: "green-1", Incarnation: "first", Address: server.Listener.Addr().String(),
			}
			r.route(replica)
			front := store.Frontend{DrainTimeout: longTimeout, AccessLog: store.AccessLogFile}
			r.makeLiveBehind(front, replica)
			if isLogged {
				r.ask()
			}
			cut := make(chan struct{})
			go func() {
				defer close(cut)
				if response, err := http.Get(r.endpoint + "/slow"); err == nil {
					response.Body.Close()
				}
			}()
			<-arrived
			if err := r.Erase(t.Context()); err != nil {
				t.Fatal(err)
			}
			<-cut
			dir := r.client.dir.Deployment("web")
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%q is left: %v", logFiles(t, dir), err)
			}
		})
	}
}

// A request may end after its deployment has been removed.
func TestAccessLogThatIsClosedIsNotWritten(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "web")
	log := newAccessLogFile(dir, func() error { return nil })
	fill(t, log, 0, 1)
	log.close()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	fill(t, log, 0, 1)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its directory is there again: %v", err)
	}
}
