// SPDX-License-Identifier: MPL-2.0

package store

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

// upkeepName is the file that holds the health checks of a deployment's releases. The
// values of their headers and their commands may be secrets, and are kept nowhere else.
const upkeepName = "upkeep.json"

// Upkeep says how the agent looks after the replicas of one release.
type Upkeep struct {
	// Fingerprint is that of the release. A commit may be for another release than the
	// one that is live, and that one keeps its own health check.
	Fingerprint string `json:"fingerprint"`
	// Health is the health check. Its Interval and HealthyThreshold count here as well.
	Health health.Config `json:"health"`
	// UnhealthyThreshold is how many probes, or requests, must fail in a row until a
	// replica leaves the traffic, at least 1.
	UnhealthyThreshold int `json:"unhealthy_threshold"`
	// RestartAfter is how long a replica may be unhealthy until it is started again, 0
	// for ever.
	RestartAfter time.Duration `json:"restart_after_ns,omitempty"`
	// WatchesEngine says whether the engine that runs the replicas is asked about them, and
	// restarts them. It is the same for all releases of a deployment.
	WatchesEngine bool `json:"watch_engine,omitempty"`
}

// Check returns an error unless replicas can be looked after as u says.
func (u Upkeep) Check() error {
	if u.Fingerprint == "" || u.UnhealthyThreshold < 1 || u.RestartAfter < 0 {
		return fmt.Errorf("upkeep of a release %q: unhealthy_threshold %d, restart_after %s",
			u.Fingerprint, u.UnhealthyThreshold, u.RestartAfter)
	}
	_, err := health.New(u.Health)
	return err
}

// UpkeepFile keeps the upkeep of the releases of one deployment.
type UpkeepFile struct {
	dir      string
	releases map[string]Upkeep
	// damage says why what was stored is lost, nil if it is not.
	damage error
}

// upkeepContent is what the file holds.
type upkeepContent struct {
	Schema   int      `json:"schema"`
	Releases []Upkeep `json:"releases,omitempty"`
}

// OpenUpkeepFile reads what is stored for the deployment in dir. It is not an error
// if there is nothing.
func OpenUpkeepFile(dir string) (*UpkeepFile, error) {
	f := &UpkeepFile{dir: dir, releases: map[string]Upkeep{}}
	var content upkeepContent
	path := filepath.Join(dir, upkeepName)
	found, err := durable.ReadJSON(path, "list of health checks", &content)
	if err == nil && found && content.Schema != Schema {
		err = &durable.UnreadableError{
			Path: path, Err: fmt.Errorf("it is not a valid list of health checks (schema version %d)", content.Schema),
		}
	}
	if err != nil {
		f.damage = fmt.Errorf("%w. The next apply stores the health check of its release again; until then the "+
			"replicas are not looked after", err)
		return f, err
	}
	for _, u := range content.Releases {
		f.releases[u.Fingerprint] = u
	}
	return f, nil
}

// Damage says why the health checks are lost, and what brings them back; nil if they are not lost.
func (f *UpkeepFile) Damage() error { return f.damage }

// Find returns the upkeep of the release with this fingerprint.
func (f *UpkeepFile) Find(fingerprint string) (Upkeep, bool) {
	u, ok := f.releases[fingerprint]
	return u, ok
}

// WatchesEngine reports whether the deployment asks for the engine.
func (f *UpkeepFile) WatchesEngine() bool {
	for _, u := range f.releases {
		if u.WatchesEngine {
			return true
		}
	}
	return false
}

// Commit stores u, which may be nil, and forgets the releases that are in none of the
// ledgers. It writes nothing if nothing has changed.
func (f *UpkeepFile) Commit(u *Upkeep, ledgers ...bluegreen.Ledger) error {
	next := maps.Clone(f.releases)
	if u != nil {
		next[u.Fingerprint] = *u
		for fingerprint, other := range next {
			other.WatchesEngine = u.WatchesEngine
			next[fingerprint] = other
		}
	}
	maps.DeleteFunc(next, func(fingerprint string, _ Upkeep) bool {
		return !slices.ContainsFunc(ledgers, func(l bluegreen.Ledger) bool { return hasRelease(l, fingerprint) })
	})
	if f.damage == nil && reflect.DeepEqual(next, f.releases) {
		return nil
	}
	if err := f.write(next); err != nil {
		return err
	}
	f.releases, f.damage = next, nil
	return nil
}

func hasRelease(l bluegreen.Ledger, fingerprint string) bool {
	return slices.ContainsFunc(bluegreen.Environments(), func(env bluegreen.Environment) bool {
		release := l.Slot(env).Release
		return release != nil && release.Fingerprint == fingerprint
	})
}

func (f *UpkeepFile) write(releases map[string]Upkeep) error {
	content := upkeepContent{Schema: Schema}
	for _, fingerprint := range slices.Sorted(maps.Keys(releases)) {
		content.Releases = append(content.Releases, releases[fingerprint])
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return fmt.Errorf("creating the deployment's directory: %w", err)
	}
	return durable.WriteJSON(filepath.Join(f.dir, upkeepName), "list of health checks", content)
}
