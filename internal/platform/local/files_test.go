// SPDX-License-Identifier: MPL-2.0

//go:build unix

package local_test

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// The agent deploys a copy of the image. The user's file may change or be removed.
func TestImageOverwrittenLaterChangesNothing(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	first := s.deployLive("1.0.0", 1)
	s.deployLive("2.0.0", 1)
	s.must(os.WriteFile(filepath.Join(first.Image, "version.txt"), []byte("overwritten"), 0o600))
	s.must(s.Rollback(t.Context(), "to see what the standby serves"))
	s.expectVersion("1.0.0")
	s.must(os.RemoveAll(first.Image))
	s.expectVersion("1.0.0")
}

// A mistyped image is found before anything is given up. The standby is still there for a
// rollback.
func TestMistypedImageLeavesTheStandby(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	release := s.deployLive("2.0.0", 1)
	release.Version, release.Image = "3.0.0", filepath.Join(release.Image, "mistyped")
	var missing *local.ImageError
	if err := s.DeployAndSwitch(t.Context(), release); !errors.As(err, &missing) {
		t.Errorf("got %v", err)
	}
	s.expectVersion("2.0.0")
	s.must(s.Rollback(t.Context(), "2.0.0 is bad"))
	s.expectVersion("1.0.0")
}

// A preview is promoted as the build that was checked, even if the file at its path is
// another one now and the promote comes with another size.
func TestPromotedPreviewIsTheBuildThatWasChecked(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	release := agenttest.Release(s, "2.0.0", agenttest.Healthy)
	s.must(errOf(s.Deploy(t.Context(), release)))
	s.must(errOf(s.HealthCheck(t.Context())))
	s.must(os.WriteFile(filepath.Join(release.Image, "version.txt"), []byte("overwritten"), 0o600))
	release.Replicas = 2
	s.must(s.DeployAndSwitch(t.Context(), release))
	s.expectVersion("2.0.0")
}

func TestUnusedImagesAreRemoved(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	for _, version := range []string{"1.0.0", "2.0.0", "3.0.0"} {
		s.deployLive(version, 1)
	}
	copies, err := filepath.Glob(filepath.Join(s.dir, "images", "sha256-*[0-9a-f]"))
	s.must(err)
	if len(copies) != 2 {
		t.Errorf("%d images are kept for two environments", len(copies))
	}
	s.must(s.Destroy(t.Context()))
	if left, err := os.ReadDir(filepath.Join(s.dir, "images")); err != nil || len(left) != 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

// Any user's process may answer in a directory that others can write to. The platform
// sends nothing to it, and ignores its answers.
func TestStateDirectoryOfOthersIsNotTrusted(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	release := s.deployLive("1.0.0", 1)
	expectRefusal := func(when string) {
		t.Helper()
		s.must(os.Chmod(s.dir, 0o777))
		defer func() { s.must(os.Chmod(s.dir, 0o700)) }()
		_, observed := s.platform.Observe(t.Context())
		_, history := s.platform.History(t.Context())
		deploy := s.DeployAndSwitch(t.Context(), release)
		for what, err := range map[string]error{"observe": observed, "history": history, "deploy": deploy} {
			if err == nil || !strings.Contains(err.Error(), "other users can access it; run `chmod 700` on it") {
				t.Errorf("%s, %s: %v", when, what, err)
			}
		}
	}
	expectRefusal("while an agent answers")
	agenttest.Stop(t, s.dir)
	expectRefusal("while none does")
	s.ensureAgent()
	s.expectVersion("1.0.0")
}

// The error about a ledger that cannot be read names its file. The other deployments keep
// being served.
func TestErrorAboutAnUnreadableLedgerNamesItsFile(t *testing.T) {
	t.Parallel()
	dir := agenttest.StateDir(t)
	healthy := newServiceIn(t, dir, "healthy", local.Frontend{})
	healthy.deployLive("1.0.0", 1)
	broken := newServiceIn(t, dir, "broken", local.Frontend{})
	broken.deployLive("1.0.0", 1)
	path := filepath.Join(dir, "deployments", "broken", "ledger.json")
	intact := broken.file("ledger.json")
	cases := map[string]string{
		"incomplete":          intact[:len(intact)/2],
		"empty":               "",
		"not a ledger":        `{"hello": "world"}`,
		"newer":               strings.Replace(intact, `"schema": 1`, `"schema": 99`, 1),
		"of another name":     strings.Replace(intact, `"name": "broken"`, `"name": "healthy"`, 1),
		"impossible":          strings.Replace(intact, `"state": "live"`, `"state": "sleeping"`, 1),
		"followed by garbage": intact + "}",
	}
	for what, content := range cases {
		agenttest.Stop(t, dir)
		s := &service{t, dir, broken.platform, broken.Deployer}
		s.must(os.WriteFile(path, []byte(content), 0o600))
		s.expectUnreadable(what+", no agent", path)
		healthy.ensureAgent()
		s.expectUnreadable(what, path)
		healthy.expectVersion("1.0.0")
	}
	// Once the file is repaired, the same replicas serve the deployment again.
	broken.must(os.WriteFile(path, []byte(intact), 0o600))
	broken.expectVersion("1.0.0")
}

// How a replica is started is known only to a newer version. The log says so, and what runs goes on.
func TestErrorAboutAWorkloadOfANewerVersionSaysSo(t *testing.T) {
	t.Parallel()
	dir := agenttest.StateDir(t)
	other := newServiceIn(t, dir, "other", local.Frontend{})
	other.deployLive("1.0.0", 1)
	s := newServiceIn(t, dir, "newer", local.Frontend{})
	s.deployLive("1.0.0", 1)
	path := filepath.Join(dir, "deployments", "newer", "green", "workload.json")
	intact := s.file("green/workload.json")
	agenttest.Stop(t, dir)
	s.must(os.WriteFile(path, []byte(`{"schema": 99, "argv": "another shape"}`), 0o600))
	other.ensureAgent()
	log := agenttest.Log(t, dir)
	if !strings.Contains(log, path) ||
		!strings.Contains(log, "written by a newer version of the provider (schema 99; this one reads up to") {
		t.Errorf("the log is %s", log)
	}
	other.expectVersion("1.0.0")
	s.expectVersion("1.0.0")
	agenttest.Stop(t, dir)
	s.must(os.WriteFile(path, []byte(intact), 0o600))
	other.ensureAgent()
	s.expectVersion("1.0.0")
}

func (s *service) expectUnreadable(what, path string) {
	s.Helper()
	_, err := s.platform.Load(s.Context())
	var unreadable *local.UnreadableError
	if !errors.As(err, &unreadable) || unreadable.Path != path || errors.Is(err, bluegreen.ErrNotFound) {
		s.Errorf("%s: got %v, want an error that names %s", what, err, path)
	}
	if err := s.DeployAndSwitch(s.Context(), agenttest.Release(s, "2.0.0", agenttest.Healthy)); err == nil {
		s.Errorf("%s: a release was deployed although the ledger cannot be read", what)
	}
}

// The values of environment variables are only in the replica and in one private file.
func TestSecretsStayWithTheWorkload(t *testing.T) {
	t.Parallel()
	const secret = "correct-horse-battery"
	s := newService(t, local.Frontend{})
	release := agenttest.Release(t, "1.0.0", agenttest.Healthy)
	release.Env["TOKEN"] = secret
	s.makeLive(release)
	if _, value := get(t, s.endpoint()+"/env?TOKEN"); value != secret {
		t.Errorf("the replica's TOKEN is %q", value)
	}
	s.must(filepath.WalkDir(s.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if !strings.HasPrefix(path, filepath.Join(s.dir, "images")) && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		if filepath.Base(path) != "workload.json" && strings.Contains(string(content), secret) {
			t.Errorf("the secret is in %s", path)
		}
		return nil
	}))
	processes, err := exec.Command("ps", "-eo", "args").Output()
	s.must(err)
	if strings.Contains(string(processes), secret) {
		t.Error("the secret is on a command line")
	}
}

func TestReplicaSeesWhereItRuns(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	release := agenttest.Release(t, "1.0.0", agenttest.Healthy)
	release.Env["HOST"] = "192.0.2.1"
	release.Args = []string{"-v"}
	s.makeLive(release)
	for name, want := range map[string]string{
		"HOST": "127.0.0.1", "BLUEGREEN_ENVIRONMENT": "green", "BLUEGREEN_VERSION": "1.0.0", "GOCACHE": "",
	} {
		if _, got := get(t, s.endpoint()+"/env?"+name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	_, port := get(t, s.endpoint()+"/env?PORT")
	if n, err := strconv.Atoi(port); err != nil || n < 20000 || n > 29999 {
		t.Errorf("PORT is %q", port)
	}
	lines, err := s.platform.Logs(t.Context(), s.instances(bluegreen.Green)[0], 5)
	if err != nil || len(lines) != 1 || lines[0] != "green 1.0.0 starts" {
		t.Errorf("the log is %q, %v", lines, err)
	}
}

// The processes that a replica started end with it.
func TestNoProcessOutlivesTheEnvironment(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	_, pid := get(t, s.endpoint()+"/fork")
	if _, err := strconv.Atoi(pid); err != nil {
		t.Fatalf("no child was started: %s", pid)
	}
	// The cleanup of the state directory fails if the child still runs.
	s.must(s.Destroy(t.Context()))
}

func TestNamesCannotLeaveTheStateDirectory(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	for _, name := range []string{"", "..", "../etc", "a/b", "A", "-a", "a-", strings.Repeat("a", 64), "a.b", "a\x00"} {
		if _, err := local.New(local.Options{StateDir: s.dir, Name: name}); err == nil {
			t.Errorf("%q is accepted", name)
		}
	}
	raw := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: unixSocket(s.dir)}}
	for _, path := range []string{"%2e%2e", "..%2fweb", "web%2f..", "%2e%2e%2f%2e%2e"} {
		url := "http://agent/v1/deployments/" + path
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		s.must(err)
		request.Header.Set("Bluegreen-Api", "1")
		response, err := raw.Do(request)
		s.must(err)
		response.Body.Close()
		if response.StatusCode < 300 {
			t.Errorf("%s is answered with %d", path, response.StatusCode)
		}
	}
	for _, id := range []string{"green-../../../ledger.json", "green-1/../..", "red-1", ""} {
		if lines, err := s.platform.Logs(t.Context(), bluegreen.Instance{ID: id}, 10); err == nil {
			t.Errorf("the log of %q is %q", id, lines)
		}
	}
}

func TestStateDirectoryMustBePrivateAndShort(t *testing.T) {
	t.Parallel()
	open := func(dir string) error {
		p, err := local.New(local.Options{StateDir: dir, Name: "web"})
		if err != nil {
			return err
		}
		_, err = p.Lock(context.WithoutCancel(t.Context()), "tester")
		return err
	}
	err := open("/tmp/" + strings.Repeat("long/", 30))
	if err == nil || !strings.Contains(err.Error(), "state_dir is too long") {
		t.Errorf("a long path: %v", err)
	}
	shared := t.TempDir()
	if err := os.Chmod(shared, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := open(shared); err == nil || !strings.Contains(err.Error(), "0755") {
		t.Errorf("a directory that others can read: %v", err)
	}
	if entries, err := os.ReadDir(shared); err != nil || len(entries) > 0 {
		t.Errorf("something was created in it: %v, %v", entries, err)
	}
}
