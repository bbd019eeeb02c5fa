// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/frontend"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/images"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/socket"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/upkeep"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// agent serves the deployments of one state directory.
type agent struct {
	processes *process.Manager
	log       *slog.Logger
	// predecessor is the agent that this one takes over from, nil for none.
	predecessor *predecessor
	dir         store.Dir
	images      *images.Store
	locks       *locks
	registry    *prometheus.Registry
	// engine is nil if the agent has no access to one.
	engine engine
	// descriptors are those of the clients of all deployments.
	descriptors *frontend.Descriptors
	// load counts the replicas that are looked after.
	load upkeep.Load
	// linger is how long the agent stays when it has nothing to do.
	linger time.Duration
	// leave ends the agent; ended is closed when nothing of it is left.
	leave context.CancelFunc
	ended chan struct{}
	// lock and metrics go to the agent that takes over; metrics may be nil.
	lock    *os.File
	metrics *net.TCPListener
	// hasHandedOver is true once another agent has taken over.
	hasHandedOver atomic.Bool

	mu          sync.Mutex
	deployments map[string]*deployment
	// broken are the deployments that cannot be served, and why.
	broken map[string]error
	idle   *time.Timer
}

// openAgent takes over everything in dir. leave is called once the agent has had
// no deployment and no lock for the time of linger.
func openAgent(
	dir store.Dir, log *slog.Logger, linger time.Duration, leave context.CancelFunc, predecessor *predecessor,
	engine engine,
) (*agent, error) {
	copies, err := images.Open(dir.Images())
	if err != nil {
		return nil, err
	}
	a := &agent{
		processes:   process.NewManager(log),
		log:         log,
		predecessor: predecessor,
		dir:         dir,
		images:      copies,
		registry:    prometheus.NewRegistry(),
		engine:      engine,
		descriptors: newDescriptors(descriptorLimit()),
		linger:      linger,
		leave:       leave,
		ended:       make(chan struct{}),
		deployments: map[string]*deployment{},
		broken:      map[string]error{},
	}
	a.locks = newLocks(a.releaseUnused)
	a.locks.paused = predecessor != nil
	// The client that started it is about to connect.
	a.idle = time.AfterFunc(max(linger, api.LaunchTimeout), a.endIfUnused)
	entries, err := os.ReadDir(dir.Deployments())
	if err != nil {
		return nil, fmt.Errorf("reading the deployments: %w", err)
	}
	for _, entry := range entries {
		if err := store.ValidateName(entry.Name()); err != nil || !entry.IsDir() {
			log.Warn("no deployment, and left alone", "path", entry.Name())
			continue
		}
		if _, err := a.open(entry.Name()); err != nil && !errors.Is(err, bluegreen.ErrNotFound) {
			log.Error("a deployment cannot be served; the others are", "deployment", entry.Name(), "error", err)
		}
	}
	return a, nil
}

// receivedSockets returns the sockets that the agent before this one handed over, nil for
// none.
func (a *agent) receivedSockets() *socket.HandedOver {
	if a.predecessor == nil {
		return nil
	}
	return &a.predecessor.sockets
}

// deployment returns the deployment called name, or bluegreen.ErrNotFound. One
// that could not be served is tried again: its files may have been repaired.
func (a *agent) deployment(name string) (*deployment, error) {
	a.mu.Lock()
	d, broken := a.deployments[name], a.broken[name] != nil
	a.mu.Unlock()
	if d != nil {
		return d, nil
	}
	if broken {
		return a.open(name)
	}
	return nil, bluegreen.ErrNotFound
}

// open opens what is stored for name.
func (a *agent) open(name string) (*deployment, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if d := a.deployments[name]; d != nil {
		return d, nil
	}
	d, err := openDeployment(a, name)
	if err == nil && !d.isStoredOrRuns() {
		err = errors.Join(d.discard(), bluegreen.ErrNotFound)
	}
	switch {
	case errors.Is(err, bluegreen.ErrNotFound):
		delete(a.broken, name)
		return nil, err
	case err != nil:
		a.broken[name] = err
		return nil, err
	}
	delete(a.broken, name)
	a.deployments[name] = d
	return d, nil
}

// create returns the deployment called name, which need not exist yet. Its
// caller holds the lock.
func (a *agent) create(name string) (*deployment, error) {
	d, err := a.deployment(name)
	if !errors.Is(err, bluegreen.ErrNotFound) {
		return d, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if d, err = openDeployment(a, name); err != nil {
		return nil, err
	}
	a.deployments[name] = d
	return d, nil
}

// erase forgets the deployment called name. It is not an error if there is none.
func (a *agent) erase(ctx context.Context, name string) error {
	d, err := a.deployment(name)
	if errors.Is(err, bluegreen.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := d.erase(ctx); err != nil {
		return err
	}
	a.mu.Lock()
	delete(a.deployments, name)
	a.mu.Unlock()
	a.collectImages()
	return nil
}

// collectImages removes the images that nothing needs any more. If that fails
// the next time does it.
func (a *agent) collectImages() {
	if err := a.images.Collect(a.dir.ImagesInUse); err != nil {
		a.log.Warn("unused images are left", "error", err)
	}
}

// releaseUnused is called when a lock ends. It drops a deployment that was locked but
// not created, and restarts the time after which an unused agent ends. If the locks are
// closed, the agent ends with the last one, and not before: the holder of that lock may
// be about to remove the container of the agent.
func (a *agent) releaseUnused(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if d := a.deployments[name]; d != nil && !d.isStoredOrRuns() {
		if err := d.discard(); err != nil {
			a.log.Warn("a deployment's directory is left", "deployment", name, "error", err)
		}
		delete(a.deployments, name)
	}
	if a.locks.isLast(name) {
		a.leave()
		return
	}
	a.idle.Reset(a.linger)
}

// endIfUnused ends the agent if there is neither a deployment nor a lock.
func (a *agent) endIfUnused() {
	if a.locks.closeIf(a.isUnused) {
		a.log.Info("leaving: there is no deployment")
		a.leave()
	}
}

// isUnused reports whether there is no deployment.
func (a *agent) isUnused() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, d := range a.deployments {
		if d.isStoredOrRuns() {
			return false
		}
	}
	return len(a.broken) == 0
}

// shutdown stops listening, and waits for what is in flight. The replicas stay.
func (a *agent) shutdown(ctx context.Context) {
	defer close(a.ended)
	if a.hasHandedOver.Load() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, shutdownTimeout)
		defer cancel()
		a.retire(ctx)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.idle.Stop()
	var group sync.WaitGroup
	for _, d := range a.deployments {
		group.Go(func() { d.shutdown(ctx) })
	}
	group.Wait()
}
