// SPDX-License-Identifier: MPL-2.0

//go:build unix

package local_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// holderVariable makes this binary a process that holds a lock, as a provider does. Its
// value is "DIR NAME".
const holderVariable = "BLUEGREEN_TEST_HOLDER"

// preparesVariable makes the holder of a lock copy the image that it names.
const preparesVariable = "BLUEGREEN_TEST_PREPARES"

func TestMain(m *testing.M) {
	if what := os.Getenv(holderVariable); what != "" && len(os.Args) == 1 {
		holdLock(what)
	}
	agenttest.Main(m)
}

func holdLock(what string) {
	dir, name, _ := strings.Cut(what, " ")
	p, err := local.New(local.Options{StateDir: dir, Name: name})
	if err == nil {
		_, err = p.Lock(context.Background(), "somebody@else")
	}
	fmt.Println(err)
	if image := os.Getenv(preparesVariable); image != "" {
		release := bluegreen.Release{Version: "1.0.0", Image: image, Command: []string{"run"}}
		_, err = p.Prepare(context.Background(), release)
		fmt.Println(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// lockHolder is a process that holds a lock.
type lockHolder struct{ kill func() }

// startLockHolder starts a lockHolder with these further variables and files, and returns when
// it holds the lock.
func startLockHolder(t *testing.T, dir, name string, environ []string, files ...*os.File) lockHolder {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(self)
	command.Env = append(append(os.Environ(), holderVariable+"="+dir+" "+name), environ...)
	command.ExtraFiles = files
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	kill := func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		stdin.Close()
	}
	t.Cleanup(kill)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "<nil>\n" {
		t.Fatalf("the holder says %q, %v", line, err)
	}
	return lockHolder{kill}
}

// unixSocket dials the agent that serves dir.
func unixSocket(dir string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "agent.sock"))
	}
}

// wantBody fails the test unless the response holds text.
func wantBody(t *testing.T, response *http.Response, text string) {
	t.Helper()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(body), text) {
		t.Errorf("%q is missing in\n%s", text, body)
	}
}

// largeSize is nearly as much as an image may have. largeArchive makes it in chunks.
const largeSize, chunk = 4000 * chunk, 1 << 20

// largeArchive returns an archive with one file, called large, that takes seconds to copy.
func largeArchive(t *testing.T) string {
	t.Helper()
	const chunks = largeSize / chunk
	var archive bytes.Buffer
	compress := func(content []byte) {
		t.Helper()
		writer := gzip.NewWriter(&archive)
		_, err := writer.Write(content)
		if err := errors.Join(err, writer.Close()); err != nil {
			t.Fatal(err)
		}
	}
	var header bytes.Buffer
	file := tar.Header{Typeflag: tar.TypeReg, Name: "large", Mode: 0o600, Size: largeSize}
	if err := tar.NewWriter(&header).WriteHeader(&file); err != nil {
		t.Fatal(err)
	}
	compress(header.Bytes())
	before := archive.Len()
	compress(make([]byte, chunk))
	// What is compressed one after the other is read as one.
	archive.Write(bytes.Repeat(archive.Bytes()[before:], chunks-1))
	compress(make([]byte, 1024)) // The end of the archive.
	path := filepath.Join(t.TempDir(), "large.tar.gz")
	if err := os.WriteFile(path, archive.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// lockPatience is how long a lock may take to end after its holder.
const lockPatience = 10 * time.Second

// The holder of a lock dies while a large image is copied. The copying ends with it, so that the next
// one gets the lock within seconds, and nothing of the image is left.
func TestLockEndsWithItsProcessWhileAnImageIsCopied(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	holder := startLockHolder(t, s.dir, "web", []string{preparesVariable + "=" + largeArchive(t)})
	images := filepath.Join(s.dir, "images")
	var copied *os.File
	agenttest.Eventually(t, func() error {
		found, err := filepath.Glob(filepath.Join(images, ".import-*", "large"))
		if err == nil && len(found) == 0 {
			err = errors.New("nothing is copied")
		}
		if err == nil {
			copied, err = os.Open(found[0])
		}
		return err
	})
	defer copied.Close()
	holder.kill()
	killed := time.Now()
	agenttest.Eventually(t, func() error {
		unlock, err := s.platform.Lock(t.Context(), s.Actor)
		if err == nil {
			unlock()
		}
		return err
	})
	if took := time.Since(killed); took > lockPatience {
		t.Errorf("the lock ended %v after its holder", took)
	}
	if info, err := copied.Stat(); err != nil || info.Size() == largeSize {
		t.Errorf("the whole image was copied: %v, %v", info, err)
	}
	if left, err := os.ReadDir(images); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}
