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
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/frontend"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/images"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/socket"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/systemd"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/upkeep"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// agent serves the deployments of one state directory.
type agent struct {
	processes *process.Manager
	log       *slog.Logger
	// predecessor is the agent that this one takes over from, nil for none.
	predecessor *predecessor
	// beginSupervision is called once the predecessor has let the replicas go.
	beginSupervision func()
	// formers are the agents before, which may have something in flight.
	formers *formers
	// manager is the service manager that has started this process, nil for none.
	manager  *systemd.Manager
	dir      *stateDir
	images   *images.Store
	reserve  *durable.Reserve
	locks    *locks
	registry *prometheus.Registry
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
	// metrics goes to the agent that takes over; it may be nil.
	metrics *net.TCPListener
	// hasClosedDoors is true once no client can connect here any more.
	hasClosedDoors atomic.Bool
	// hasHandedOver is true once another agent has taken over.
	hasHandedOver atomic.Bool
	// isLost is true for an agent that leaves and has lost its directory: no other agent will find
	// its replicas.
	isLost bool
	// leaveWithin bounds how long the agent takes to end when it leaves; 0 for no limit but the
	// drain timeouts of the deployments.
	leaveWithin time.Duration

	mu          sync.Mutex
	deployments map[string]*deployment
	// broken are the deployments that cannot be served, and why.
	broken map[string]error
	idle   *time.Timer
}

// openAgent takes over everything in dir. leave is called once the agent has had
// no deployment and no lock for the time of linger.
func openAgent(
	dir *stateDir, log *slog.Logger, linger time.Duration, leave context.CancelFunc, predecessor *predecessor,
	engine engine, manager *systemd.Manager, ports process.PortRange,
) (*agent, error) {
	copies, err := images.Open(dir.Images(), log)
	if err != nil {
		return nil, err
	}
	a := &agent{
		processes:   process.NewManager(log),
		log:         log,
		predecessor: predecessor,
		manager:     manager,
		dir:         dir,
		images:      copies,
		reserve:     durable.OpenReserve(dir.Reserve()),
		registry:    prometheus.NewRegistry(),
		engine:      engine,
		descriptors: newDescriptors(descriptorLimit()),
		linger:      linger,
		leave:       leave,
		ended:       make(chan struct{}),
		deployments: map[string]*deployment{},
		broken:      map[string]error{},
		formers:     &formers{dir: dir.Dir, log: log},
	}
	a.processes.UsePorts(ports)
	a.processes.CheckFiles(dir.checkPresent)
	a.refillReserve()
	a.locks = newLocks(a.releaseUnused)
	if predecessor != nil {
		a.locks.paused = true
		a.beginSupervision = a.processes.AwaitPredecessor()
	}
	a.formers.find()
	// The client that started it is about to connect.
	a.idle = time.AfterFunc(max(linger, api.LaunchTimeout), a.endIfUnused)
	entries, err := os.ReadDir(dir.Deployments())
	if err != nil {
		return nil, fmt.Errorf("reading the deployments: %w", err)
	}
	a.openAll(entries)
	return a, nil
}

// openAll opens the deployments that have these directories, all at the same time.
func (a *agent) openAll(entries []os.DirEntry) {
	var opening sync.WaitGroup
	defer opening.Wait()
	for _, entry := range entries {
		name := entry.Name()
		if err := store.ValidateName(name); err != nil || !entry.IsDir() {
			a.log.Warn("no deployment, and left alone", "path", name)
			continue
		}
		opening.Go(func() {
			d, err := openDeployment(a, name)
			a.mu.Lock()
			defer a.mu.Unlock()
			if _, err := a.add(name, d, err); err != nil && !errors.Is(err, bluegreen.ErrNotFound) {
				a.log.Error("a deployment cannot be served; the others are", "deployment", name, "error", err)
			}
		})
	}
}

// receivedSockets returns the sockets that the agent before this one handed over, or that the
// service manager kept since that one ended; nil for none.
func (a *agent) receivedSockets() *socket.HandedOver {
	if a.predecessor == nil {
		return a.manager.Received()
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
	return a.add(name, d, err)
}

// add adds the deployment d, or notes why it could not be opened. The caller holds mu.
func (a *agent) add(name string, d *deployment, err error) (*deployment, error) {
	if err == nil && !d.isStoredOrRuns() {
		err = errors.Join(d.discard(d.closing), bluegreen.ErrNotFound)
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
	if !d.isStored() {
		go a.removeLeft(d)
	}
	return d, nil
}

// removeLeft removes a deployment without a ledger once all that was left of it has ended.
func (a *agent) removeLeft(d *deployment) {
	if d.awaitOrphans() != nil {
		return
	}
	// The end of a lock removes a deployment that is not needed. If there is a holder, that of
	// its lock does.
	if held, err := a.locks.acquire(d.name, "the agent"); err == nil {
		a.locks.release(d.name, held.token)
	}
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
	a.manager.Status(a.status())
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
	a.manager.Status(a.status())
	a.mu.Unlock()
	a.collectImages(ctx)
	return nil
}

// tellReady tells the service manager that clients are served. A socket that it has kept and that
// nobody listens on any more is closed, so that no client waits there.
func (a *agent) tellReady() {
	a.manager.ForgetUnused()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.manager.Ready(a.status())
}

// status describes what the agent does, for people. Its caller holds mu.
func (a *agent) status() string {
	status := fmt.Sprintf("Serves deployments: %d", len(a.deployments))
	if len(a.broken) > 0 {
		status += fmt.Sprintf(". Cannot serve, see the log: %d", len(a.broken))
	}
	return status
}

// collectImages removes the images that nothing needs any more. If that fails
// the next time does it.
func (a *agent) collectImages(ctx context.Context) {
	if a.dir.checkPresent() != nil {
		return
	}
	if err := a.images.Collect(ctx, a.dir.ImagesInUse); err != nil {
		a.log.Warn("unused images are left", "error", err)
	}
	a.refillReserve()
}

// refillReserve keeps space for what must be written while the disk is full.
func (a *agent) refillReserve() {
	if a.dir.checkPresent() != nil {
		return
	}
	if err := a.reserve.Refill(); err != nil {
		a.log.Warn("the disk is nearly full; if it is full, changes may fail", "error", err)
	}
}

// releaseUnused is called when a lock ends. It drops a deployment that was locked but
// not created, and restarts the time after which an unused agent ends. If the locks are
// closed, the agent ends with the last one, and not before: the holder of that lock may
// be about to remove the container of the agent.
func (a *agent) releaseUnused(name string) {
	// What went on under the lock may have used the reserve.
	a.refillReserve()
	a.mu.Lock()
	defer a.mu.Unlock()
	switch d := a.deployments[name]; {
	case d == nil || d.isStored() || a.dir.checkPresent() != nil:
	case !d.isStoredOrRuns():
		if err := d.discard(d.closing); err != nil {
			a.log.Warn("a deployment's directory is left", "deployment", name, "error", err)
		}
		delete(a.deployments, name)
	case d.isEnding():
		go a.removeLeft(d)
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
