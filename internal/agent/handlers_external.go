// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

func (a *agent) putExternalReplicas(ctx context.Context, r *http.Request) (any, error) {
	replicas, err := decode[[]store.ExternalReplica](r)
	if err != nil {
		return nil, err
	}
	if err := store.CheckExternalReplicas(replicas); err != nil {
		return nil, err
	}
	return nil, a.changeExternal(ctx, r, func(f *store.ExternalReplicas) { f.Replicas = replicas })
}

func (a *agent) putContainerSpec(ctx context.Context, r *http.Request) (any, error) {
	spec, err := decode[[]byte](r)
	if err != nil {
		return nil, err
	}
	return nil, a.changeExternal(ctx, r, func(f *store.ExternalReplicas) { f.ContainerSpec = spec })
}

func (a *agent) changeExternal(ctx context.Context, r *http.Request, edit func(*store.ExternalReplicas)) error {
	env, err := parseEnvironment(r)
	if err != nil {
		return err
	}
	d, err := a.create(r.PathValue("name"))
	if err != nil {
		return err
	}
	return d.runExclusively(ctx, func() error {
		return d.environments[env].changeExternal(ctx, edit, d.drainBackend(env))
	})
}

func (a *agent) getContainerSpec(_ context.Context, r *http.Request) (any, error) {
	d, env, err := a.environmentOf(r)
	if err != nil || d == nil {
		return []byte(nil), err
	}
	return d.environments[env].externalReplicas().ContainerSpec, nil
}

// postEndIfUnused answers whether the agent ends with the last lock.
func (a *agent) postEndIfUnused(_ context.Context, r *http.Request) (any, error) {
	a.locks.markDone(r.PathValue("name"))
	return a.locks.closeIf(a.isUnused), nil
}

// postDial joins the request and its response to an external replica, as a connection. It
// ends when either side does.
func (a *agent) postDial(w http.ResponseWriter, r *http.Request) {
	conn, err := a.dialReplica(r)
	if err != nil {
		answer(w, nil, err)
		return
	}
	// An error of Close has no receiver, here and below.
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(r.Context(), func() { _ = conn.Close() })
	defer stop()
	flusher := http.NewResponseController(w)
	w.WriteHeader(http.StatusOK)
	if err := flusher.Flush(); err != nil {
		return
	}
	go func() {
		// What goes wrong ends the other direction too.
		if _, err := io.Copy(conn, r.Body); err != nil || conn.CloseWrite() != nil {
			_ = conn.Close()
		}
	}()
	_, _ = io.Copy(flushing{w, flusher}, conn)
}

func (a *agent) dialReplica(r *http.Request) (*net.TCPConn, error) {
	if err := checkVersion(r); err != nil {
		return nil, err
	}
	d, env, err := a.existingEnvironmentOf(r)
	if err != nil {
		return nil, err
	}
	ref := bluegreen.InstanceRef{ID: r.PathValue("id"), Incarnation: r.URL.Query().Get("incarnation")}
	found, err := d.environments[env].externalReplicas().Find(ref)
	if err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(r.Context(), "tcp", found.Address)
	if err != nil {
		return nil, err
	}
	replica, ok := conn.(*net.TCPConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("unexpected connection type %T", conn), conn.Close())
	}
	return replica, nil
}

// flushing sends what is written at once.
type flushing struct {
	io.Writer
	flusher *http.ResponseController
}

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.Writer.Write(p)
	if err == nil {
		err = f.flusher.Flush()
	}
	return n, err
}
