// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// An agent whose state directory was removed, or has been replaced by another one, has lost it. It
// goes on serving, because clients need it. No client of its API finds it: its socket went with the
// directory. What is at the path belongs to the next agent, so that a lost agent changes nothing
// there: it stores nothing, starts no replica and removes no file. Only who removed the directory
// knows when the agent may end. It then ends its replicas, because no other agent will find them.

// stateDir is the state directory that an agent serves. It is the directory that was at the path
// when the agent began, whatever is there now.
type stateDir struct {
	store.Dir
	// opened is the directory. While it is open, no other directory has its identity.
	opened *os.File
	// lock is the file that the agent has locked.
	lock atomic.Pointer[os.File]
}

// openStateDir opens dir, in which the caller has locked the file lock.
func openStateDir(dir store.Dir, lock *os.File) (*stateDir, error) {
	opened, err := os.Open(string(dir))
	if err != nil {
		return nil, fmt.Errorf("opening the state directory: %w", err)
	}
	d := &stateDir{Dir: dir, opened: opened}
	d.lock.Store(lock)
	return d, nil
}

// checkPresent returns nil if the directory is where it was, or an error that says what to do.
func (d *stateDir) checkPresent() error {
	present, err := os.Stat(string(d.Dir))
	own, ownErr := d.opened.Stat()
	isKnown := ownErr == nil && (err == nil || errors.Is(err, os.ErrNotExist))
	if !isKnown || err == nil && os.SameFile(own, present) {
		return nil
	}
	return fmt.Errorf("the state directory %s was removed or replaced while the agent runs (process %d). The agent "+
		"goes on serving, can store no change and starts no replica again. To begin again with an empty directory, "+
		"end it and its replicas with \"kill %d\", and apply", d.Dir, os.Getpid(), os.Getpid())
}

// errLockedByAnother is returned if another agent has locked the directory too.
var errLockedByAnother = errors.New("the lock file of the state directory was replaced, and another agent has " +
	"locked the new one: it serves the directory now")

// keepLock locks the lock file again if somebody has removed or replaced it. It reports whether that
// was needed.
func (d *stateDir) keepLock() (isLockedAgain bool, err error) {
	present, err := os.Stat(d.Lock())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	own, ownErr := d.lock.Load().Stat()
	if ownErr != nil || err == nil && os.SameFile(own, present) {
		return false, ownErr
	}
	lock, err := store.LockFile(d.Lock())
	switch {
	case err != nil:
		return false, err
	case lock == nil:
		return false, errLockedByAnother
	}
	// The directory may have been replaced just now. Then the file is that of another agent.
	if err := d.checkPresent(); err != nil {
		lock.Close()
		return false, err
	}
	d.lock.Store(lock)
	return true, nil
}

// lookForDirectory is how often the agent looks whether its directory is still there.
const lookForDirectory = 5 * time.Second

// watchDirectory says in the log, which is still open, that the directory is lost, and keeps it
// locked until then. If another agent has locked it, that one serves it, so this one leaves. The
// replicas stay in either case.
func (a *agent) watchDirectory(ctx context.Context) {
	look := time.NewTicker(lookForDirectory)
	defer look.Stop()
	for {
		if err := a.dir.checkPresent(); err != nil {
			a.log.Error(err.Error())
			return
		}
		isLockedAgain, err := a.dir.keepLock()
		switch {
		case errors.Is(err, errLockedByAnother):
			a.log.Error("leaving", "error", err)
			a.leave()
			return
		case err != nil:
			a.log.Error("the state directory cannot be locked again", "error", err)
		case isLockedAgain:
			a.log.Warn("the lock file was removed or replaced while the agent runs; the new one is locked")
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// endReplicas ends the replicas of an agent that has lost its directory, and touches no file.
func (a *agent) endReplicas(ctx context.Context) {
	var group sync.WaitGroup
	for _, d := range a.all() {
		d.letGo()
		for _, env := range bluegreen.Environments() {
			group.Go(func() {
				if err := d.environments[env].endAll(ctx); err != nil {
					d.log.Error("replicas are left", "environment", env, "error", err)
				}
			})
		}
	}
	group.Wait()
}

// endAll ends everything that runs here and leaves the files alone.
func (e *environment) endAll(ctx context.Context) error {
	e.mu.Lock()
	all := append(slices.Clone(e.replicas), e.stopping...)
	e.mu.Unlock()
	return forEach(all, func(r *replica) error { return r.AwaitEnd(ctx) })
}
