// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/frontend"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// A former agent is one that has left and still finishes what is in flight there: streams,
// WebSockets, uploads, and requests on connections that its clients have kept. It routes as the
// present agent says. So a switch moves its clients too, and a replica is not stopped while one of
// them has a request there.

// formerTimeout is how long a former agent may take to follow. One that takes longer hangs or is
// stopped, and is not waited for any more.
const formerTimeout = 5 * time.Second

// backendParameter names the backend in a request to drain one alone.
const backendParameter = "backend"

// routesRequest is what the present agent routes by.
type routesRequest struct {
	Ledger   bluegreen.Ledger                             `json:"ledger"`
	Replicas map[bluegreen.Environment][]frontend.Replica `json:"replicas"`
}

// formers are the former agents. It is safe for concurrent use.
type formers struct {
	dir store.Dir
	log *slog.Logger

	mu   sync.Mutex
	list []*former
}

type former struct {
	path string
	http *http.Client
}

// find looks for former agents. The caller holds the lock of the state directory.
func (f *formers) find() {
	f.mu.Lock()
	defer f.mu.Unlock()
	known := map[string]bool{}
	for _, present := range f.list {
		known[present.path] = true
	}
	for _, path := range f.dir.FormerSockets() {
		if known[path] {
			continue
		}
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
		conn, err := dial(context.Background(), "", "")
		if err != nil {
			// Nobody listens there any more.
			_ = os.Remove(path)
			continue
		}
		conn.Close()
		f.log.Info("a former agent still finishes what is in flight there", "socket", path)
		f.list = append(f.list, &former{path, &http.Client{Transport: &http.Transport{DialContext: dial}}})
	}
}

// each calls ask for all former agents at the same time, and forgets those that have ended or
// do not answer.
func (f *formers) each(ask func(*former) error) error {
	f.mu.Lock()
	list := f.list
	f.mu.Unlock()
	return forEach(list, func(one *former) error {
		err := ask(one)
		if err == nil || errors.Is(err, context.Canceled) {
			return err
		}
		f.forget(one, err)
		return nil
	})
}

func (f *formers) forget(one *former, because error) {
	if !isEnd(because) {
		f.log.Error("a former agent does not follow any more; what is in flight there is not waited for",
			"socket", one.path, "error", because)
	}
	one.http.CloseIdleConnections()
	f.mu.Lock()
	defer f.mu.Unlock()
	var left []*former
	for _, present := range f.list {
		if present != one {
			left = append(left, present)
		}
	}
	f.list = left
}

// isEnd reports whether err says that a former agent has ended.
func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrNotExist) ||
		errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// isEmpty reports whether there is none.
func (f *formers) isEmpty() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.list) == 0
}

// route makes the former agents route as this one does. Requests that begin there afterwards go
// where those go that begin here.
func (f *formers) route(name string, l bluegreen.Ledger, replicas map[bluegreen.Environment][]frontend.Replica) {
	if f.isEmpty() {
		return
	}
	body, err := json.Marshal(routesRequest{l, replicas})
	if err != nil {
		f.log.Error("former agents cannot be told where to route", "error", err)
		return
	}
	_ = f.each(func(one *former) error {
		ctx, cancel := context.WithTimeout(context.Background(), formerTimeout)
		defer cancel()
		return one.ask(ctx, http.MethodPut, name, "/routes", body)
	})
}

// drain waits until nothing is in flight on env in any former agent; see deployment.drainHere.
func (f *formers) drain(ctx context.Context, name string, env bluegreen.Environment, backend string) error {
	query := url.Values{backendParameter: {backend}}.Encode()
	err := f.each(func(one *former) error {
		err := one.ask(ctx, http.MethodPost, name, "/environments/"+string(env)+"/drain?"+query, nil)
		if ctx.Err() != nil {
			return context.Canceled
		}
		return err
	})
	if err != nil {
		return ctx.Err()
	}
	return nil
}

// erase closes what is in flight for a deployment that is gone.
func (f *formers) erase(name string) {
	_ = f.each(func(one *former) error {
		ctx, cancel := context.WithTimeout(context.Background(), formerTimeout)
		defer cancel()
		return one.ask(ctx, http.MethodDelete, name, "", nil)
	})
}

// ask makes a request to a former agent.
func (f *former) ask(ctx context.Context, method, name, path string, body []byte) error {
	request, err := http.NewRequestWithContext(
		ctx, method, "http://agent/v1/deployments/"+name+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set(api.VersionHeader, strconv.Itoa(api.Version))
	response, err := f.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("it answered %s", response.Status)
	}
	return nil
}
