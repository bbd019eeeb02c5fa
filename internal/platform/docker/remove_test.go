// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// stubbornEngine is a platform on an engine that answers /containers/c/stop, the removal
// of the container and the wait for it as the handlers say.
func stubbornEngine(t *testing.T, stop, remove, wait http.HandlerFunc) *Platform {
	t.Helper()
	return &Platform{name: "web", engine: engineThatAnswers(t, map[string]http.HandlerFunc{
		"POST /{version}/containers/c/stop": stop,
		"DELETE /{version}/containers/c":    remove,
		"POST /{version}/containers/c/wait": wait,
	})}
}

// engineThatAnswers is an engine that answers requests as the handlers say. Those that are nil
// do not count.
func engineThatAnswers(t *testing.T, answers map[string]http.HandlerFunc) *engine {
	t.Helper()
	mux := http.NewServeMux()
	for pattern, answer := range answers {
		if answer != nil {
			mux.HandleFunc(pattern, answer)
		}
	}
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", "1.41") })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	e, err := Connection{Host: "tcp://" + server.Listener.Addr().String()}.open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// refuse answers as the engine does.
func refuse(status int, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"message":"` + message + `"}`))
	}
}

// A container that the engine cannot remove is named, with what to do.
func TestContainerThatCannotBeRemovedIsNamed(t *testing.T) {
	clearDockerEnvironment(t)
	ok := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }
	inProgress := refuse(http.StatusConflict, "removal of container c is already in progress")
	for name, c := range map[string]struct {
		stop, remove, wait http.HandlerFunc
		cause              string
	}{
		"it cannot be killed": {
			stop:  refuse(http.StatusInternalServerError, "tried to kill container, but did not receive an exit event"),
			cause: "did not receive an exit event",
		},
		"its files are in use": {
			stop: ok, remove: refuse(http.StatusInternalServerError, "driver failed to remove root filesystem"),
			cause: "failed to remove root filesystem",
		},
		"another removal hangs": {
			stop: ok, remove: inProgress, cause: "context canceled",
		},
		"another removal fails": {
			stop: ok, remove: inProgress, cause: "driver failed",
			wait: refuse(http.StatusInternalServerError, "driver failed"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if name == "another removal hangs" {
				c.wait = func(_ http.ResponseWriter, r *http.Request) {
					cancel()
					<-r.Context().Done()
				}
			}
			p := stubbornEngine(t, c.stop, c.remove, c.wait)
			err := p.removeContainers(ctx, []replicaContainer{{id: "c", instance: "green-1"}})
			if err == nil {
				t.Fatal("it is removed")
			}
			for _, want := range []string{"container web-green-1: ", c.cause, "docker rm --force web-green-1"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		})
	}
	p := stubbornEngine(t, ok, inProgress, refuse(http.StatusNotFound, "no such container"))
	if err := p.removeContainers(t.Context(), []replicaContainer{{id: "c", instance: "green-1"}}); err != nil {
		t.Errorf("another process has removed it: %v", err)
	}
}

// The container of an agent that has ended is removed while its volume is read, and the engine
// then fails to copy from it. That is waited for, and the deployment is gone if the volume is.
func TestVolumeIsReadWhileTheAgentIsRemoved(t *testing.T) {
	clearDockerEnvironment(t)
	const broken = "RWLayer of container c is unexpectedly nil"
	for name, c := range map[string]struct {
		state  string
		isGone bool
	}{
		"it is being removed": {"removing", true},
		"it is not":           {"exited", false},
	} {
		t.Run(name, func(t *testing.T) {
			isRemoved := false
			m := &agentManager{Agent: Agent{Name: "agent"}, engine: engineThatAnswers(t, map[string]http.HandlerFunc{
				"GET /{version}/containers/agent/archive": func(w http.ResponseWriter, r *http.Request) {
					if isRemoved {
						refuse(http.StatusNotFound, "no such container")(w, r)
						return
					}
					refuse(http.StatusInternalServerError, broken)(w, r)
				},
				"GET /{version}/containers/agent/json": func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "application/json")
					_, _ = w.Write([]byte(`{"Id": "c", "State": {"Status": "` + c.state + `"}}`))
				},
				"POST /{version}/containers/c/wait": func(w http.ResponseWriter, _ *http.Request) {
					isRemoved = true
					w.Header().Set("Content-Type", "application/json")
					_, _ = w.Write([]byte(`{"StatusCode": 0}`))
				},
				"GET /{version}/volumes/agent": refuse(http.StatusNotFound, "no such volume"),
			})}
			err := m.copyDeployment(t.Context(), "web", t.TempDir())
			if errors.Is(err, bluegreen.ErrNotFound) != c.isGone {
				t.Errorf("got %v", err)
			}
			if !c.isGone && !strings.Contains(err.Error(), broken) {
				t.Errorf("the cause is not in: %v", err)
			}
		})
	}
}
