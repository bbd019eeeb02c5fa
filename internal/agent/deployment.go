// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/frontend"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/upkeep"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// deployment is a deployment as the agent serves it.
type deployment struct {
	name    string
	log     *slog.Logger
	metrics *router.Metrics
	// unregister takes the deployment's metrics out of the agent's.
	unregister func()
	// environments does not change once the deployment is open.
	environments map[bluegreen.Environment]*environment
	// turn is full while a goroutine changes what runs.
	turn chan struct{}
	// closing ends what the deployment does by itself.
	closing context.Context
	close   context.CancelFunc

	frontend  *frontend.Frontend
	accessLog *accessLogFile

	// mu keeps the ledger and the route that follows it together.
	mu     sync.Mutex
	ledger *store.LedgerFile
	key    *store.KeyFile
	// upkeep and plans say how the replicas are looked after.
	upkeep *store.UpkeepFile
	plans  plans

	keeper   *upkeep.Keeper
	verdicts *verdicts
	// engine is nil if the agent has no access to one.
	engine engine
}

// openDeployment runs the deployment as its files say. It reads all files first, so that
// it changes nothing in a deployment with an unreadable file.
func openDeployment(a *agent, name string) (*deployment, error) {
	dir := a.dir.Deployment(name)
	files := map[bluegreen.Environment]environmentFiles{}
	for _, env := range bluegreen.Environments() {
		read, err := readEnvironment(store.EnvironmentDir(dir, env))
		if err != nil {
			return nil, err
		}
		files[env] = read
	}
	stored, err := store.OpenLedgerFile(dir, name)
	if err != nil {
		return nil, err
	}
	d := &deployment{
		name: name, log: a.log.With("deployment", name),
		environments: map[bluegreen.Environment]*environment{},
		turn:         make(chan struct{}, 1),
		ledger:       stored, key: store.OpenKeyFile(dir), plans: plans{}, engine: a.engine,
	}
	d.closing, d.close = context.WithCancel(context.Background())
	d.openKeeper(dir, &a.load)
	if err := d.register(a.registry); err != nil {
		d.close()
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	d.openFrontend(a, dir)
	// Environments may report changes at once; holding the lock makes them wait until
	// both exist.
	d.mu.Lock()
	manager := a.processes.WithLogger(d.log)
	for env, read := range files {
		d.environments[env] = newEnvironment(manager, d.log, env, store.EnvironmentDir(dir, env), read, d.reroute)
	}
	d.route()
	d.mu.Unlock()
	if stored.HasLedger() {
		d.reopen()
	}
	return d, nil
}

// openKeeper reads how the replicas are looked after. The deployment can serve without.
func (d *deployment) openKeeper(dir string, load *upkeep.Load) {
	var err error
	if d.upkeep, err = store.OpenUpkeepFile(dir); err != nil {
		// The next commit brings them again.
		d.log.Error("replicas are not looked after", "error", err)
	}
	var unhealthy []upkeep.UnhealthyRun
	if d.verdicts, unhealthy, err = readVerdicts(dir); err != nil {
		d.log.Error("it is not known which replicas were unhealthy", "error", err)
	}
	d.keeper = upkeep.New(d.closing, d.log, load, d.followVerdicts)
	d.keeper.Remember(unhealthy)
}

// register adds the deployment's metrics to the agent's.
func (d *deployment) register(registry prometheus.Registerer) error {
	metrics, err := router.NewMetrics(registry, d.name)
	if err != nil {
		return err
	}
	own := prometheus.WrapRegistererWith(prometheus.Labels{"deployment": d.name}, registry)
	if err := own.Register(d.keeper); err != nil {
		metrics.Unregister()
		return err
	}
	d.metrics = metrics
	d.unregister = func() {
		metrics.Unregister()
		own.Unregister(d.keeper)
	}
	return nil
}

// openFrontend makes the frontend, which does not listen yet, and its access logs.
func (d *deployment) openFrontend(a *agent, dir string) {
	d.frontend = frontend.New(
		d.ledger.Current().Frontend, a.receivedSockets(), a.descriptors, d.metrics, d.reportFailure, d.log,
	)
	d.accessLog = newAccessLogFile(dir)
	d.frontend.LogTo(map[store.AccessLog]*router.AccessLog{
		store.AccessLogFile:   router.NewAccessLog(d.accessLog),
		store.AccessLogStdout: router.NewAccessLog(os.Stdout),
	})
}

// reopen listens where the deployment did before. An address that another program
// has taken meanwhile is tried again until it is free. Live does not wait for the preview.
func (d *deployment) reopen() {
	err := d.listen()
	if err == nil {
		return
	}
	d.log.Error("not listening", "error", err)
	go func() {
		_, _ = backoff.Retry(d.closing, func() (struct{}, error) { return struct{}{}, d.listen() },
			backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, _ time.Duration) {
				d.log.Warn("still not listening", "error", err)
			}))
	}()
}

func (d *deployment) listen() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.frontend.IsComplete() || d.closing.Err() != nil {
		return nil
	}
	change, err := d.frontend.PrepareAgain()
	if err != nil {
		return err
	}
	if change.PreviewErr == nil || !d.frontend.IsOpen() {
		d.frontend.Apply(change, d.ledger.Current().Ledger, d.candidates())
	}
	return change.PreviewErr
}

// isStoredOrRuns reports whether anything is stored or runs.
func (d *deployment) isStoredOrRuns() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, env := range d.environments {
		if !env.isEmpty() {
			return true
		}
	}
	return d.ledger.HasLedger()
}

// observe returns the document, and for each environment how many replicas run and how
// many of these are unhealthy. They are counted as in bluegreen.Status. External replicas
// count as running.
func (d *deployment) observe() (doc store.Document, running, unready map[bluegreen.Environment]int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.ledger.HasLedger() {
		return store.Document{}, nil, nil, bluegreen.ErrNotFound
	}
	l := d.ledger.Current().Ledger
	running, unready = map[bluegreen.Environment]int{}, map[bluegreen.Environment]int{}
	for name, replicas := range d.candidates() {
		slot := l.Slot(name)
		for _, r := range replicas {
			if !slot.IsCounted(r.Ref, store.CanReceiveTraffic) {
				continue
			}
			running[name]++
			if r.IsUnhealthy {
				unready[name]++
			}
		}
	}
	if l.IsServing() && !d.frontend.IsOpen() {
		// No client can reach what runs there.
		running[l.Live], unready[l.Live] = 0, 0
	}
	doc = d.ledger.Current()
	doc.Ledger.Key, err = d.key.Key()
	return doc, running, unready, err
}

func (d *deployment) history() ([]bluegreen.Record, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ledger.History()
}

// commit replaces the ledger and points traffic where it says. The file comes
// first: the route changes only once the ledger is durable. upkeep, if not nil, says how
// the replicas of one of the releases are looked after; if it is nil, that does not change.
func (d *deployment) commit(
	next bluegreen.Ledger, closed []bluegreen.Record, front store.Frontend, upkeep *store.Upkeep,
) error {
	begin := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.ledger.Check(next); err != nil {
		return err
	}
	change, err := d.frontend.Prepare(front)
	if err != nil {
		return err
	}
	// The key and the health check are stored first. They do no harm if the ledger then
	// cannot be written.
	if err := d.key.Commit(next.Key); err != nil {
		d.frontend.Discard(change)
		return err
	}
	if err := d.upkeep.Commit(upkeep, d.ledger.Current().Ledger, next); err != nil {
		d.frontend.Discard(change)
		return err
	}
	former := d.ledger.Current().Ledger
	err = d.ledger.Commit(next, closed, change.Binding)
	if d.ledger.Current().Ledger.Generation != next.Generation {
		d.frontend.Discard(change)
		return err
	}
	d.lookAfter(&former)
	// Even after an error, because the file may have been written anyway.
	if d.frontend.Apply(change, d.ledger.Current().Ledger, d.candidates()) {
		d.metrics.ObserveSwitch(time.Since(begin))
		d.log.Info("switched", "live", d.frontend.Live(), "generation", next.Generation)
	}
	return err
}

// reroute follows a change of what runs.
func (d *deployment) reroute() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.route()
}

// route sends requests where the ledger says.
func (d *deployment) route() {
	d.lookAfter(nil)
	d.frontend.Route(d.ledger.Current().Ledger, d.candidates())
}

// candidates are the replicas that may get traffic.
func (d *deployment) candidates() map[bluegreen.Environment][]frontend.Replica {
	replicas := map[bluegreen.Environment][]frontend.Replica{}
	for name, env := range d.environments {
		for _, c := range env.candidates() {
			c.IsUnhealthy = d.unhealthyCause(name, c.Backend) != ""
			replicas[name] = append(replicas[name], c.Replica)
		}
	}
	return replicas
}

// runExclusively runs change when no other change of what runs is going on.
func (d *deployment) runExclusively(ctx context.Context, change func() error) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case d.turn <- struct{}{}:
	}
	defer func() { <-d.turn }()
	return change()
}

// provision makes an environment run exactly next.
func (d *deployment) provision(ctx context.Context, name bluegreen.Environment, next *store.Workload) error {
	return d.runExclusively(ctx, func() error {
		return d.environments[name].provision(ctx, next, d.drainBackend(name))
	})
}

// scale changes the size of an environment.
func (d *deployment) scale(ctx context.Context, name bluegreen.Environment, size int) error {
	return d.runExclusively(ctx, func() error { return d.environments[name].scale(ctx, size, d.drainBackend(name)) })
}

// restart ends one run of a replica and starts the replica again.
func (d *deployment) restart(ctx context.Context, name bluegreen.Environment, id, incarnation string) error {
	return d.runExclusively(ctx, func() error {
		return d.environments[name].restart(ctx, id, incarnation, d.drainBackend(name))
	})
}

// drainBackend returns a function that drains one backend of the environment.
func (d *deployment) drainBackend(name bluegreen.Environment) drainBackend {
	return func(ctx context.Context, id string) error { return d.frontend.DrainBackend(ctx, name, id) }
}

func (d *deployment) remove(ctx context.Context, name bluegreen.Environment) error {
	return d.runExclusively(ctx, func() error { return d.environments[name].remove(ctx) })
}

// erase forgets the deployment and everything that is left of it.
func (d *deployment) erase(ctx context.Context) error {
	for _, name := range bluegreen.Environments() {
		if err := d.remove(ctx, name); err != nil {
			return err
		}
	}
	return d.discard()
}

// discard ends the deployment and removes its files. Nothing runs in it any more.
func (d *deployment) discard() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	// A request that ends from now on must not make the directory again.
	d.accessLog.close()
	if err := d.ledger.Erase(); err != nil {
		return err
	}
	d.close()
	d.verdicts.close()
	d.frontend.Close()
	d.unregister()
	return nil
}

// shutdown stops listening and lets what is in flight finish. The replicas stay.
func (d *deployment) shutdown(ctx context.Context) {
	d.close()
	d.verdicts.close()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.frontend.Shutdown(ctx)
}
