// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/frontend"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// An agent leaves when it gets SIGTERM, when another agent takes over from it, or when it has
// nothing left to do. It then gives up everything but the connections of its clients: the
// replicas, which it no longer supervises, the listeners, and the lock of the state directory.
// So the next agent can serve at once, while this one finishes what is in flight.
//
// It is then a former agent. On a socket of its own it follows what the present agent says; see
// formers.go. It changes no file any more but logs.

// retireTimeout is how long the clients of an agent that hands over may take to connect to the
// next one. Connections that are idle for all that time are closed.
const retireTimeout = 10 * time.Second

// letGo gives the replicas up, for the agent that comes next. The caller has made sure that
// nothing is being changed, and has called Hold.
func (a *agent) letGo() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.idle.Stop()
	for _, d := range a.deployments {
		d.letGo()
	}
	a.processes.LetGo()
}

// letGo ends what the deployment does by itself.
func (d *deployment) letGo() {
	d.close()
	d.verdicts.close()
	// A change of the route that has begun is over afterwards.
	d.mu.Lock()
	defer d.mu.Unlock()
}

// becomeFormer serves the socket of a former agent, until nothing is in flight any more.
func (a *agent) becomeFormer() error {
	path := a.dir.NewFormerSocket()
	listener, err := listenSocket(path)
	if err != nil {
		return err
	}
	server := newServer(context.Background(), a.formerHandler())
	// It always ends with an error.
	go func() { _ = server.Serve(listener) }()
	go func() {
		<-a.ended
		// The present agent takes a connection that ends for the end of everything in flight.
		_ = server.Close()
		_ = os.Remove(path)
	}()
	return nil
}

// closeDoors closes the sockets that clients connect to, and gives up the lock of the state
// directory, at once.
func (a *agent) closeDoors() {
	a.hasClosedDoors.Store(true)
	if a.metrics != nil {
		a.metrics.Close()
	}
	for _, d := range a.all() {
		d.frontend.StopListening()
	}
	// A successor has another descriptor of it.
	a.dir.lock.Load().Close()
}

// all returns the deployments.
func (a *agent) all() (list []*deployment) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, d := range a.deployments {
		list = append(list, d)
	}
	return list
}

// shutdown lets what is in flight finish. The replicas stay. If another agent has taken over or
// is about to start, clients whose connections are idle get some time to notice.
func (a *agent) shutdown(ctx context.Context) {
	defer close(a.ended)
	if a.leaveWithin > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, a.leaveWithin)
		defer cancel()
	}
	idle := time.Duration(0)
	if a.hasHandedOver.Load() || a.manager.StartsNextAtOnce() {
		idle = retireTimeout
	}
	var group sync.WaitGroup
	for _, d := range a.all() {
		group.Go(func() { d.frontend.Leave(ctx, idle) })
	}
	group.Wait()
	if a.isLost {
		a.endReplicas(ctx)
	}
}

// formerHandler is the API of an agent that has left, for the present one.
func (a *agent) formerHandler() http.Handler {
	const one = "/v1/deployments/{name}"
	mux := http.NewServeMux()
	mux.HandleFunc("PUT "+one+"/routes", a.handlePlain(a.putRoutes))
	mux.HandleFunc("POST "+one+"/environments/{env}/drain", a.handlePlain(a.postFormerDrain))
	mux.HandleFunc("DELETE "+one, a.handlePlain(a.deleteRoutes))
	return mux
}

// putRoutes makes the requests of clients that are still connected here go where the present
// agent sends those of its own.
func (a *agent) putRoutes(_ context.Context, r *http.Request) (any, error) {
	body, err := decode[routesRequest](r)
	if err != nil {
		return nil, err
	}
	if d := a.deploymentOrNil(r); d != nil {
		for name, env := range d.environments {
			env.follow(body.Replicas[name])
		}
		d.frontend.Route(body.Ledger, body.Replicas)
	}
	return nil, nil
}

// postFormerDrain waits as the present agent waits for what it has in flight itself.
func (a *agent) postFormerDrain(ctx context.Context, r *http.Request) (any, error) {
	env, err := parseEnvironment(r)
	d := a.deploymentOrNil(r)
	if err != nil || d == nil {
		return nil, err
	}
	return nil, d.drainHere(ctx, env, r.URL.Query().Get(backendParameter))
}

// deleteRoutes closes what is in flight: the deployment is gone.
func (a *agent) deleteRoutes(_ context.Context, r *http.Request) (any, error) {
	if d := a.deploymentOrNil(r); d != nil {
		d.accessLog.close()
		d.frontend.Close()
	}
	return nil, nil
}

func (a *agent) deploymentOrNil(r *http.Request) *deployment {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.deployments[r.PathValue("name")]
}

// drainHere waits until nothing that came in through this process is in flight on env any more,
// or on one of its backends if backend is not "".
func (d *deployment) drainHere(ctx context.Context, env bluegreen.Environment, backend string) error {
	if backend == "" {
		return d.frontend.Drain(ctx, env)
	}
	return d.frontend.DrainBackend(ctx, env, backend)
}

// stepDown gives everything up for the next agent, which is not there yet. Clients are served
// until that agent can be.
func (a *agent) stepDown() {
	a.locks.end()
	if a.isLost = a.dir.checkPresent() != nil; !a.isLost {
		a.processes.Hold()
		a.letGo()
		if err := a.becomeFormer(); err != nil {
			a.log.Warn("the next agent cannot ask this one what is in flight", "error", err)
		}
	}
	a.closeDoors()
}

// end gives no more locks, ends those that are held, and returns when nothing is changed any more.
func (l *locks) end() {
	l.mu.Lock()
	l.closed = true
	var held []*lock
	for _, present := range l.held {
		held = append(held, present)
	}
	l.mu.Unlock()
	for _, present := range held {
		present.end(api.ErrLeaving)
		present.changes.Wait()
	}
}

// dialAsFormer connects to a replica that the present agent supervises. That agent has told with
// which sockets it listens. Until it tells, they are those of last, the status of the replica when
// this agent let go.
func (e *environment) dialAsFormer(ctx context.Context, b router.Backend, last process.Status) (net.Conn, error) {
	e.mu.Lock()
	listeners, isKnown := e.told[b]
	if e.told == nil {
		listeners, isKnown = last.Listeners, last.Address() == b.Addr
	}
	e.mu.Unlock()
	if !isKnown {
		return nil, fmt.Errorf("%s has been restarted or has ended", b.ID)
	}
	return process.DialListener(ctx, b.Addr, listeners)
}

// follow notes what the present agent says about the replicas here.
func (e *environment) follow(replicas []frontend.Replica) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.told = map[router.Backend][]string{}
	for _, r := range replicas {
		e.told[r.Backend] = r.Listeners
	}
}
