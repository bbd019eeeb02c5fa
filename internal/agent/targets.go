// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// targetsFile holds the replicas of an environment that something else than the
// agent runs. Its blueprint may hold the values of environment variables.
const targetsFile = "targets.json"

// foreign is what is known of such replicas.
type foreign struct {
	Schema  int      `json:"schema"`
	Targets []Target `json:"targets,omitempty"`
	// Blueprint is what they are made from, in the words of whoever runs them.
	Blueprint []byte `json:"blueprint,omitempty"`
}

// readForeign returns what is kept in dir, nothing where there is no file.
func readForeign(dir string) (foreign, error) {
	path := filepath.Join(dir, targetsFile)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return foreign{}, nil
	}
	if err != nil {
		return foreign{}, &UnreadableError{path, err}
	}
	var f foreign
	if err := json.Unmarshal(content, &f); err != nil {
		return f, &UnreadableError{path, fmt.Errorf("it is torn, or no list of targets: %w", err)}
	}
	if f.Schema != documentSchema {
		return f, &UnreadableError{path, fmt.Errorf("it is no list of targets that this program can have written (schema version %d)", f.Schema)}
	}
	if err := checkTargets(f.Targets); err != nil {
		return f, &UnreadableError{path, err}
	}
	return f, nil
}

func checkTargets(targets []Target) error {
	seen := map[string]bool{}
	for _, t := range targets {
		if t.ID == "" || seen[t.ID] {
			return fmt.Errorf("%w: there are two targets with the ID %q, or it is empty", errInvalid, t.ID)
		}
		seen[t.ID] = true
		if _, _, err := net.SplitHostPort(t.Address); err != nil {
			return fmt.Errorf("%w: the address of target %s: %w", errInvalid, t.ID, err)
		}
	}
	return nil
}

func (f foreign) empty() bool { return len(f.Targets) == 0 && len(f.Blueprint) == 0 }

func (f foreign) write(dir string) error {
	f.Schema = documentSchema
	content, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the targets: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the environment's directory: %w", err)
	}
	return writeFile(filepath.Join(dir, targetsFile), content)
}

func (f foreign) equal(other foreign) bool {
	return slices.Equal(f.Targets, other.Targets) && bytes.Equal(f.Blueprint, other.Blueprint)
}

// candidates are the targets as the traffic sees them. Whether they run is not
// asked: those that refuse connections are passed over. One that was made anew,
// maybe from something else, is another incarnation and has to pass first.
func (f foreign) candidates() []candidate {
	list := make([]candidate, 0, len(f.Targets))
	for _, t := range f.Targets {
		list = append(list, candidate{router.Backend{ID: t.backend(), Addr: t.Address}, bluegreen.InstanceRef{ID: t.ID, Incarnation: t.Incarnation}})
	}
	return list
}

// madeOnce is the part of ref's incarnation that a target has.
func madeOnce(ref bluegreen.InstanceRef) string {
	incarnation, _, _ := strings.Cut(ref.Incarnation, "/")
	return incarnation
}

// backend is what the target is called where one with the same ID may follow it.
func (t Target) backend() string { return t.ID + "@" + t.Incarnation }

// find returns the target that ref is about, whichever run of it.
func (f foreign) find(ref bluegreen.InstanceRef) (Target, error) {
	at := slices.IndexFunc(f.Targets, func(t Target) bool { return t.ID == ref.ID && t.Incarnation == madeOnce(ref) })
	if at < 0 {
		return Target{}, fmt.Errorf("there is no instance %q like that any more", ref.ID)
	}
	return f.Targets[at], nil
}

// has reports whether there is a target with this backend.
func (f foreign) has(backend string) bool {
	return slices.ContainsFunc(f.Targets, func(t Target) bool { return t.backend() == backend })
}

// gone are the backends of the targets in former that are not there as they were.
func (f foreign) gone(former foreign) []string {
	var ids []string
	for _, t := range former.Targets {
		if !slices.Contains(f.Targets, t) {
			ids = append(ids, t.backend())
		}
	}
	return ids
}

// changeForeign edits what something else runs here. Targets that go get no new
// traffic, and are quiesced.
func (e *environment) changeForeign(ctx context.Context, edit func(*foreign), quiesce quiesce) error {
	e.mu.Lock()
	former, processes := e.foreign, e.workload != nil
	e.mu.Unlock()
	if processes {
		return fmt.Errorf("%w: the agent itself runs the replicas of %s", errInvalid, e.name)
	}
	next := former
	edit(&next)
	if !next.equal(former) {
		if err := next.write(e.dir); err != nil {
			return err
		}
		e.mu.Lock()
		e.foreign = next
		e.mu.Unlock()
		e.changed()
	}
	e.departing = slices.DeleteFunc(append(e.departing, next.gone(former)...), next.has)
	if err := each(e.departing, func(id string) error { return quiesce(ctx, id) }); err != nil {
		return err
	}
	e.departing = nil
	return nil
}

func (e *environment) foreigners() foreign {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.foreign
}
