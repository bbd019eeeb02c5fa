// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// localHarness is a harness on this machine.
type localHarness struct {
	*harness
	*localTestPlatform
}

func newLocalHarness(t *testing.T) localHarness {
	t.Helper()
	name, p := claimLocal(t)
	return localHarness{&harness{t: t, name: name, platformUnderTest: p}, p}
}

// localTestPlatform is a state directory of its own.
type localTestPlatform struct {
	stateDir string
	service  string
}

var _ platformUnderTest = (*localTestPlatform)(nil)

func claimLocal(t *testing.T) (name string, p *localTestPlatform) {
	t.Helper()
	program, err := replicaProgram()
	if err != nil {
		t.Fatal(err)
	}
	// t.TempDir has a longer path than a Unix socket may have.
	dir, err := os.MkdirTemp("", "bgw")
	if err != nil {
		t.Fatal(err)
	}
	p = &localTestPlatform{stateDir: filepath.Join(dir, "state"), service: filepath.Join(dir, "service")}
	// The image is a small script, so that the copy which the agent makes is small as well.
	if err := os.WriteFile(p.service, fmt.Appendf(nil, "#!/bin/sh\nexec %q\n", program), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.checkNothingLeft(t)
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return "web", p
}

func (p *localTestPlatform) providerBlock() string {
	return fmt.Sprintf("local = { state_dir = %q }", p.stateDir)
}

func (p *localTestPlatform) settings() attributes { return nil }

func (p *localTestPlatform) dataBlock() string { return "local = {}" }

func (p *localTestPlatform) image() string { return p.service }

func (p *localTestPlatform) id(name string) string { return name }

func (p *localTestPlatform) open(name string) (openPlatform, error) {
	command, err := agentCommand()
	if err != nil {
		return nil, err
	}
	return local.New(local.Options{StateDir: p.stateDir, Name: name, AgentCommand: command})
}

func (p *localTestPlatform) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func (p *localTestPlatform) switchDelay() time.Duration { return 0 }

func (p *localTestPlatform) expireLock(context.Context, string) error { return nil }

func (p *localTestPlatform) leftovers(context.Context) ([]string, error) {
	return p.entries("deployments")
}

func (p *localTestPlatform) entries(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(p.stateDir, dir))
	if os.IsNotExist(err) {
		return nil, nil
	}
	var names []string
	for _, entry := range entries {
		names = append(names, dir+"/"+entry.Name())
	}
	return names, err
}

// checkNothingLeft waits for the agent to leave, and looks for what it has left.
func (p *localTestPlatform) checkNothingLeft(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(p.stateDir); os.IsNotExist(err) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	// The agent holds this lock for as long as it lives.
	lock := flock.New(filepath.Join(p.stateDir, "agent.lock"))
	if _, err := lock.TryLockContext(ctx, pollInterval); err != nil {
		t.Errorf("the agent did not leave: %v", err)
		return
	}
	defer lock.Close()
	for _, dir := range []string{"deployments", "images"} {
		entries, err := p.entries(dir)
		if err != nil {
			t.Error(err)
		}
		for _, entry := range entries {
			t.Errorf("%s is left", entry)
		}
	}
	// The parent of the agent ends after it.
	for len(p.processes()) > 0 && ctx.Err() == nil {
		time.Sleep(pollInterval)
	}
	for _, process := range p.processes() {
		t.Errorf("process %s is left", process)
	}
}

// processes are those that work in the state directory, where /proc tells.
func (p *localTestPlatform) processes() []string {
	found, _ := filepath.Glob("/proc/[0-9]*/cwd")
	return slices.DeleteFunc(found, func(link string) bool {
		dir, err := os.Readlink(link)
		return err != nil || !strings.HasPrefix(dir, p.stateDir)
	})
}

// files returns the files of the deployment that have no environment variables, by their name.
func (h localHarness) files() map[string]string {
	h.t.Helper()
	dir := filepath.Join(h.stateDir, "deployments", h.name)
	entries, err := os.ReadDir(dir)
	if err != nil {
		h.t.Fatal(err)
	}
	files := map[string]string{}
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			h.t.Fatal(err)
		}
		files[entry.Name()] = string(content)
	}
	return files
}
