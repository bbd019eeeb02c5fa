// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/moby/moby/api/pkg/authconfig"
	apiregistry "github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// login is how the private registry wants to be asked.
var login = Registry{Username: "ann", Password: "s3cr3t"}

// privateRegistry is a registry on this machine that wants a login.
func privateRegistry(t *testing.T) Registry {
	t.Helper()
	open := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != login.Username || password != login.Password {
			w.Header().Set("WWW-Authenticate", `Basic realm="private"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		open.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	with := login
	with.Address = server.Listener.Addr().String()
	return with
}

// image makes a small image on the host and returns its ID.
func (l *lab) image(name, content string) string {
	l.Helper()
	l.must(l.importImage(name, map[string]file{"content": {content: []byte(content)}}))
	found, err := l.engine.ImageInspect(l.Context(), name)
	l.must(err)
	return found.ID
}

// forget removes an image from the host.
func (l *lab) forget(name string) {
	l.Helper()
	_, err := l.engine.ImageRemove(context.Background(), name, client.ImageRemoveOptions{Force: true})
	l.must(err)
}

// push brings an image to a registry, and away from the host.
func (l *lab) push(at Registry, name, content string) (reference, id string) {
	l.Helper()
	reference = at.Address + "/" + l.name + ":" + name
	id = l.image(reference, content)
	l.upload(at, reference)
	l.forget(reference)
	return reference, id
}

// upload brings an image of the host to a registry.
func (l *lab) upload(at Registry, reference string) {
	l.Helper()
	auth, err := authconfig.Encode(apiregistry.AuthConfig{Username: at.Username, Password: at.Password})
	l.must(err)
	response, err := l.engine.ImagePush(l.Context(), reference, client.ImagePushOptions{RegistryAuth: auth})
	l.must(err)
	defer response.Close()
	l.must(response.Wait(l.Context()))
}

func TestImageIsPulledWhenItIsMissing(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	at := privateRegistry(t)
	reference, id := l.push(at, "1", "one")
	release := bluegreen.Release{Image: reference}

	_, err := images{l.engine, PullNever, []Registry{at}}.pin(t.Context(), release)
	var missing *ImageError
	if !errors.As(err, &missing) || !strings.Contains(err.Error(), "never pulled") {
		t.Errorf("got %v", err)
	}
	_, err = images{l.engine, PullMissing, nil}.pin(t.Context(), release)
	if !errors.As(err, &missing) || !strings.Contains(err.Error(), reference) || !strings.Contains(err.Error(), "no basic auth credentials") {
		t.Errorf("without a login: %v", err)
	}
	wrong := at
	wrong.Password = "guessed"
	_, err = images{l.engine, PullMissing, []Registry{wrong}}.pin(t.Context(), release)
	if !errors.As(err, &missing) || strings.Contains(err.Error(), wrong.Password) {
		t.Errorf("with a wrong login: %v", err)
	}
	got, err := images{l.engine, PullMissing, []Registry{at}}.pin(t.Context(), release)
	l.must(err)
	if got != id {
		t.Errorf("it is pinned to %s, want %s", got, id)
	}
	l.forget(reference)
}

func TestMovedTagChangesNothingThatWasPinned(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	at := privateRegistry(t)
	name := at.Address + "/" + l.name + ":latest"
	former := l.image(name, "one")
	latest := l.image(name, "two")
	t.Cleanup(func() { l.forget(latest) })
	for _, policy := range []PullPolicy{PullMissing, PullNever} {
		i := images{l.engine, policy, []Registry{at}}
		got, err := i.pin(t.Context(), bluegreen.Release{Image: name, ImageDigest: former})
		l.must(err)
		if got != former {
			t.Errorf("%s: it is pinned to %s, want %s", policy, got, former)
		}
		got, err = i.pin(t.Context(), bluegreen.Release{Image: name})
		l.must(err)
		if got != latest {
			t.Errorf("%s: afresh it is pinned to %s, want %s", policy, got, latest)
		}
	}
	l.forget(former)
	_, err := images{l.engine, PullMissing, []Registry{at}}.pin(t.Context(), bluegreen.Release{Image: name, ImageDigest: former})
	var missing *ImageError
	if !errors.As(err, &missing) {
		t.Errorf("once it is gone: %v", err)
	}
}

func TestPullAlwaysAsksTheRegistry(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	at := privateRegistry(t)
	reference, pushed := l.push(at, "latest", "of the registry")
	l.image(reference, "of the host")
	for _, policy := range []PullPolicy{PullMissing, PullAlways} {
		got, err := images{l.engine, policy, []Registry{at}}.pin(t.Context(), bluegreen.Release{Image: reference})
		l.must(err)
		if (got == pushed) != (policy == PullAlways) {
			t.Errorf("%s: it is pinned to %s", policy, got)
		}
	}
	l.forget(reference)
}

func TestImageThatNobodyHas(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	at := privateRegistry(t)
	for image, complaint := range map[string]string{
		at.Address + "/nobody/has:this":     "not found",
		"Not A Reference":                   "invalid reference format",
		"sha256:" + strings.Repeat("0", 64): "a digest alone cannot be pulled",
	} {
		_, err := images{l.engine, PullMissing, []Registry{at}}.pin(t.Context(), bluegreen.Release{Image: image})
		var missing *ImageError
		if !errors.As(err, &missing) || missing.Image != image || !strings.Contains(err.Error(), complaint) {
			t.Errorf("%s: %v", image, err)
		}
	}
}

func TestRegistriesAreFoundHoweverTheyAreWritten(t *testing.T) {
	for address, want := range map[string]string{
		"registry.example":            "registry.example",
		"https://registry.example/v2": "registry.example",
		"localhost:5000":              "localhost:5000",
		"https://index.docker.io/v1/": "docker.io",
		"docker.io":                   "docker.io",
	} {
		if got := domainOf(address); got != want {
			t.Errorf("%s is %s, want %s", address, got, want)
		}
	}
}
