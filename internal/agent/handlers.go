// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/parent"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/socket"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/build"
)

// handler is the agent's API.
func (a *agent) handler() http.Handler {
	const (
		one      = "/v1/deployments/{name}"
		env      = one + "/environments/{env}"
		instance = env + "/instances/{id}"
	)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.metricsHandler())
	mux.HandleFunc("GET /v1/version", a.handlePlain(a.getVersion))
	mux.HandleFunc("GET /v1/engine", a.handlePlain(a.getEngine))
	mux.HandleFunc("POST /v1/handover", a.postHandover)

	mux.HandleFunc("GET "+one, a.handlePlain(a.getDeployment))
	mux.HandleFunc("GET "+one+"/history", a.handlePlain(a.getHistory))
	mux.HandleFunc("GET "+one+"/settings", a.handlePlain(a.getKeptSettings))
	mux.HandleFunc("PUT "+one+"/ledger", a.handleLocked(a.putLedger))
	mux.HandleFunc("DELETE "+one, a.handleLocked(a.deleteDeployment))
	mux.HandleFunc("POST "+one+"/lock", a.postLock)
	mux.HandleFunc("DELETE "+one+"/lock", a.handlePlain(a.deleteLock))

	mux.HandleFunc("PUT "+env, a.handleLocked(a.putEnvironment))
	mux.HandleFunc("PUT "+env+"/size", a.handleLocked(a.putSize))
	mux.HandleFunc("POST "+one+"/image", a.handleLocked(a.postImage))
	mux.HandleFunc("DELETE "+env, a.handleLocked(a.deleteEnvironment))
	mux.HandleFunc("GET "+env+"/instances", a.handlePlain(a.getInstances))
	mux.HandleFunc("GET "+instance+"/listener", a.handlePlain(a.getListener))
	mux.HandleFunc("POST "+env+"/await", a.handlePlain(a.postAwait))
	mux.HandleFunc("POST "+env+"/drain", a.handlePlain(a.postDrain))
	// These paths keep the names that earlier versions use.
	mux.HandleFunc("PUT "+env+"/targets", a.handleLocked(a.putExternalReplicas))
	mux.HandleFunc("PUT "+env+"/blueprint", a.handleLocked(a.putContainerSpec))
	mux.HandleFunc("GET "+env+"/blueprint", a.handleLocked(a.getContainerSpec))
	mux.HandleFunc("POST "+one+"/retire", a.handleLocked(a.postEndIfUnused))

	mux.HandleFunc("GET "+instance+"/logs", a.handlePlain(a.getLogs))
	mux.HandleFunc("POST "+instance+"/exec", a.handlePlain(a.postExec))
	mux.HandleFunc("POST "+instance+"/restart", a.handleLocked(a.postRestart))
	mux.HandleFunc("POST "+instance+"/dial", a.postDial)
	return mux
}

func (a *agent) metricsHandler() http.Handler {
	return promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{})
}

// call is one request; it returns the body of the response, nil for none.
type call func(ctx context.Context, r *http.Request) (any, error)

// handlePlain answers with what do returns.
func (a *agent) handlePlain(do call) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		reply, err := a.checkAndCall(w, r, do)
		answer(w, reply, err)
	}
}

// handleLocked is handlePlain for what only the holder of the lock may do.
func (a *agent) handleLocked(do call) http.HandlerFunc {
	return a.handlePlain(func(ctx context.Context, r *http.Request) (any, error) {
		name := r.PathValue("name")
		ctx, done, err := a.locks.withToken(ctx, name, r.Header.Get(api.LockHeader))
		if err != nil {
			return nil, err
		}
		defer done()
		if err := a.dir.checkPresent(); err != nil {
			return nil, err
		}
		reply, err := do(ctx, r)
		switch {
		case err == nil:
		case errors.Is(context.Cause(ctx), api.ErrLockLost):
			return nil, fmt.Errorf("%s: %w", name, api.ErrLockLost)
		case ctx.Err() != nil:
			// Nobody reads the answer, unless it is the agent that ends.
			return nil, api.ErrLeaving
		default:
			a.log.Warn("request failed", "deployment", name, "request", r.Method+" "+r.URL.Path, "error", err)
		}
		return reply, err
	})
}

func (a *agent) checkAndCall(w http.ResponseWriter, r *http.Request, do call) (any, error) {
	r.Body = http.MaxBytesReader(w, r.Body, api.MaxBody)
	if err := checkVersion(r); err != nil {
		return nil, err
	}
	if name := r.PathValue("name"); name != "" {
		if err := store.ValidateName(name); err != nil {
			return nil, fmt.Errorf("%w: %w", api.ErrInvalid, err)
		}
	}
	return do(r.Context(), r)
}

func checkVersion(r *http.Request) error {
	if wanted, err := strconv.Atoi(r.Header.Get(api.VersionHeader)); err != nil || wanted != api.Version {
		return &api.VersionError{Agent: api.Version, Provider: wanted, PID: os.Getpid()}
	}
	return nil
}

func answer(w http.ResponseWriter, reply any, err error) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case err != nil:
		f := api.FailureOf(err)
		w.WriteHeader(api.Statuses[f.Code])
		reply = f
	case reply == nil:
		w.WriteHeader(http.StatusNoContent)
		return
	}
	// An error says that the client has gone.
	_ = json.NewEncoder(w).Encode(reply)
}

func decode[T any](r *http.Request) (T, error) {
	var body T
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return body, fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	return body, nil
}

func (a *agent) getVersion(context.Context, *http.Request) (any, error) {
	return a.versionReply(), nil
}

// versionReply tells which agent this is.
func (a *agent) versionReply() api.VersionReply {
	manager := api.ManagedByHand
	switch {
	case os.Getenv(api.ByProviderVariable) != "":
		manager = api.ManagedByProvider
	case a.manager != nil || os.Getenv(servicePIDVariable) == strconv.Itoa(os.Getpid()):
		manager = api.ManagedByService
	}
	return api.VersionReply{
		API: api.Version, PID: os.Getpid(), Parent: parent.PID(), KeepsKey: true, HeedsSettings: true,
		FollowsLinks: true, Version: build.Version, Build: build.ID(), Manager: manager,
	}
}

// servicePIDVariable is set by systemd for the processes that it starts, and inherited by what
// those start; see systemd.exec(5).
const servicePIDVariable = "SYSTEMD_EXEC_PID"

func (a *agent) getDeployment(_ context.Context, r *http.Request) (any, error) {
	d, err := a.deployment(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	doc, running, unready, err := d.observe()
	if err != nil {
		return nil, err
	}
	reply := api.NewDeploymentReply(doc, running, unready)
	agent := a.versionReply()
	reply.Outage, reply.Agent = d.outage(), &agent
	if live := doc.Ledger.Live; doc.Ledger.IsServing() {
		reply.LostLive = d.describeLost(live)
	}
	return reply, nil
}

func (a *agent) getHistory(_ context.Context, r *http.Request) (any, error) {
	d, err := a.deployment(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	return d.history()
}

func (a *agent) getKeptSettings(_ context.Context, r *http.Request) (any, error) {
	d, err := a.deployment(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	return d.keptSettings(), nil
}

func (a *agent) putLedger(_ context.Context, r *http.Request) (any, error) {
	body, err := decode[api.CommitRequest](r)
	if err != nil {
		return nil, err
	}
	if body.Upkeep != nil {
		if err := body.Upkeep.Check(); err != nil {
			return nil, fmt.Errorf("%w: %w", api.ErrInvalid, err)
		}
	}
	body.Ledger.Key = body.Key
	name := r.PathValue("name")
	d, err := a.create(name)
	if err != nil {
		return nil, err
	}
	err = socket.NameHolder(d.commit(body.Ledger, body.Closed, body.Frontend, body.Upkeep))
	var taken *socket.AddressError
	if errors.As(err, &taken) {
		// That this deployment is to have the address is no reason why it has not.
		if holder := store.DeploymentAt(a.dir.Dir, taken.Address); holder != d.name {
			taken.Deployment = holder
		}
	}
	return nil, err
}

func (a *agent) deleteDeployment(ctx context.Context, r *http.Request) (any, error) {
	return nil, a.erase(ctx, r.PathValue("name"))
}

// postLock answers with the token at once and ends when the lock does: the lock
// is the connection, so that it dies with its holder.
func (a *agent) postLock(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	var held *lock
	_, err := a.checkAndCall(w, r, func(context.Context, *http.Request) (any, error) {
		body, err := decode[api.LockRequest](r)
		if err != nil {
			return nil, err
		}
		if err := a.dir.checkPresent(); err != nil {
			return nil, err
		}
		held, err = a.locks.acquire(name, body.Holder)
		return nil, err
	})
	if err != nil {
		answer(w, nil, err)
		return
	}
	defer a.locks.release(name, held.token)
	answer(w, api.LockReply{Token: held.token, Damage: a.damage(name)}, nil)
	if err := http.NewResponseController(w).Flush(); err != nil {
		return
	}
	select {
	case <-r.Context().Done():
	case <-held.lost.Done():
	}
}

// damage says which files of the deployment are lost.
func (a *agent) damage(name string) []string {
	d, err := a.deployment(name)
	if err != nil {
		// Whatever needs the deployment says so.
		return nil
	}
	return d.damage()
}

func (a *agent) deleteLock(_ context.Context, r *http.Request) (any, error) {
	a.locks.release(r.PathValue("name"), r.Header.Get(api.LockHeader))
	return nil, nil
}

// environmentOf returns the environment that a request is about, and its deployment. The
// deployment is nil if it does not exist. That is not an error.
func (a *agent) environmentOf(r *http.Request) (*deployment, bluegreen.Environment, error) {
	d, env, err := a.existingEnvironmentOf(r)
	if errors.Is(err, bluegreen.ErrNotFound) {
		return nil, env, nil
	}
	return d, env, err
}

// existingEnvironmentOf is environmentOf for a request that needs a deployment. It
// returns bluegreen.ErrNotFound if there is none.
func (a *agent) existingEnvironmentOf(r *http.Request) (*deployment, bluegreen.Environment, error) {
	env, err := parseEnvironment(r)
	if err != nil {
		return nil, "", err
	}
	d, err := a.deployment(r.PathValue("name"))
	return d, env, err
}

func parseEnvironment(r *http.Request) (bluegreen.Environment, error) {
	env, err := bluegreen.ParseEnvironment(r.PathValue("env"))
	if err != nil {
		return "", fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	return env, nil
}
