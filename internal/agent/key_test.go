// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agent

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// keyFile is the only file of the deployment that has the key.
func keyFile(dir store.Dir) string {
	return filepath.Join(dir.Deployment("web"), "fingerprint-key.json")
}

// The key comes back with the ledger, with and without an agent, and is in a file of its own
// that nobody else can read.
func TestKeyIsKeptApartFromTheLedger(t *testing.T) {
	t.Parallel()
	r := newRouted(t)
	key := bluegreen.NewFingerprintKey()
	replica := webServer(t, "green-1")
	commit := func(generation uint64, key bluegreen.FingerprintKey) {
		next := liveOn(replica, bluegreen.Green, generation)
		next.Key = key
		if err := r.Commit(t.Context(), next, nil, store.Frontend{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	commit(1, key)
	// A provider of an earlier version sends no key.
	commit(2, "")
	offline, err := client.NewOffline(string(r.client.dir))
	if err != nil {
		t.Fatal(err)
	}
	online, err := r.client.Deployment(t.Context(), "web")
	if err != nil || online.Ledger.Key != key {
		t.Errorf("the agent returns the key: %t, %v", online.Ledger.Key == key, err)
	}
	if read, err := offline.Deployment("web"); err != nil || read.Ledger.Key != key {
		t.Errorf("without an agent the key comes back: %t, %v", read.Ledger.Key == key, err)
	}
	files, err := filepath.Glob(filepath.Join(r.client.dir.Deployment("web"), "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			continue
		}
		content, err := os.ReadFile(path)
		hasKey := strings.Contains(string(content), string(key))
		if err != nil || hasKey != (path == keyFile(r.client.dir)) {
			t.Errorf("%s has the key: %t, %v", path, hasKey, err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %s", path, info.Mode())
		}
	}
	if err := r.Erase(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(keyFile(r.client.dir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the key is left: %v", err)
	}
}

// Traffic does not need the key. What needs it says that a newer version has stored it.
func TestKeyOfANewerVersionDoesNotEndTheTraffic(t *testing.T) {
	t.Parallel()
	dir := newStateDir(t)
	c, err := client.New(string(dir))
	if err != nil {
		t.Fatal(err)
	}
	formerEnded := startAgent(t, dir)
	held := lockOf(t, c)
	replica := webServer(t, "green-1")
	live := liveOn(replica, bluegreen.Green, 1)
	live.Key = bluegreen.NewFingerprintKey()
	if err := errors.Join(
		held.Route(t.Context(), bluegreen.Green, []store.ExternalReplica{replica}),
		held.Commit(t.Context(), live, nil, store.Frontend{DrainTimeout: longTimeout}, nil),
	); err != nil {
		t.Fatal(err)
	}
	held.Unlock()
	status, err := c.Deployment(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keyFile(dir), []byte(`{"schema": 99}`), 0o600); err != nil {
		t.Fatal(err)
	}
	startAgent(t, dir, "-take-over")
	if output, err := formerEnded(); err != nil {
		t.Fatalf("the former agent ends with %v: %s", err, output)
	}
	held = lockOf(t, c)
	defer held.Unlock()
	live.Generation = 2
	for what, err := range map[string]error{
		"reading":    errOf(c.Deployment(t.Context(), "web")),
		"committing": held.Commit(t.Context(), live, nil, store.Frontend{DrainTimeout: longTimeout}, nil),
	} {
		var unreadable *client.UnreadableError
		if !errors.As(err, &unreadable) || unreadable.Path != keyFile(dir) {
			t.Errorf("%s: %v", what, err)
		}
	}
	response, err := http.Get(status.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "green-1" {
		t.Errorf("a client is answered with %q, %v", body, err)
	}
}
