// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
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
	// listenErr says why the deployment does not listen, nil unless it should.
	listenErr error
	plans     plans

	keeper   *upkeep.Keeper
	verdicts *verdicts
	// engine is nil if the agent has no access to one.
	engine engine
	// stateDir, reserve and formers are those of the agent.
	stateDir *stateDir
	reserve  *durable.Reserve
	formers  *formers
}

// openDeployment runs the deployment as its files say. It reads all files first, so that
// it changes nothing in a deployment that cannot be served. Live does not wait for the files of
// the other environment.
func openDeployment(a *agent, name string) (*deployment, error) {
	if err := a.dir.checkPresent(); err != nil {
		return nil, err
	}
	dir := a.dir.Deployment(name)
	stored, err := store.OpenLedgerFile(dir, name)
	if err != nil {
		return nil, err
	}
	log := a.log.With("deployment", name)
	files := map[bluegreen.Environment]environmentFiles{}
	for _, env := range bluegreen.Environments() {
		read, err := readEnvironment(store.EnvironmentDir(dir, env), log)
		if l := stored.Current().Ledger; err != nil && (!l.IsServing() || env == l.Live) {
			return nil, err
		} else if err != nil {
			read.problem = err
		}
		files[env] = read
	}
	d := &deployment{
		name: name, log: log,
		environments: map[bluegreen.Environment]*environment{},
		turn:         make(chan struct{}, 1),
		ledger:       stored, key: store.OpenKeyFile(dir), plans: plans{}, engine: a.engine, reserve: a.reserve,
		stateDir: a.dir, formers: a.formers,
	}
	d.closing, d.close = context.WithCancel(context.Background())
	if err := d.key.Damage(); err != nil {
		log.Error("the key of the fingerprints is lost", "error", err)
	}
	if err := d.openKeeper(dir, &a.load); err != nil {
		d.close()
		return nil, err
	}
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
		d.environments[env] = newEnvironment(
			manager, a.images, a.reserve, d.log, env, store.EnvironmentDir(dir, env), read, d.reroute,
		)
	}
	d.route()
	d.mu.Unlock()
	if stored.HasLedger() {
		d.reopen()
	}
	return d, nil
}

// openKeeper reads how the replicas are looked after. The deployment can serve without, but it
// would overwrite a file of a newer version.
func (d *deployment) openKeeper(dir string, load *upkeep.Load) (err error) {
	if d.upkeep, err = store.OpenUpkeepFile(dir); err != nil {
		if _, isNewer := errors.AsType[*durable.NewerError](err); isNewer {
			return err
		}
		// The next commit brings them again.
		d.log.Error("replicas are not looked after", "error", err)
	}
	var unhealthy []upkeep.UnhealthyRun
	if d.verdicts, unhealthy, err = readVerdicts(dir); err != nil {
		d.log.Error("it is not known which replicas were unhealthy", "error", err)
	}
	d.keeper = upkeep.New(d.closing, d.log, load, d.followVerdicts)
	d.keeper.Remember(unhealthy)
	return nil
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
