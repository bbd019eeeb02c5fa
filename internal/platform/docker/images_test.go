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

// login holds the credentials of the private registry.
var login = Registry{Username: "ann", Password: "s3cr3t"}

// privateRegistry starts a registry on this machine that requires a login.
func privateRegistry(t *testing.T) Registry {
	t.Helper()
	public := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != login.Username || password != login.Password {
			w.Header().Set("WWW-Authenticate", `Basic realm="private"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		public.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	private := login
	private.Address = server.Listener.Addr().String()
	return private
}

// createImage creates a small image on the host and returns its ID.
func (h *harness) createImage(name, content string) string {
	h.Helper()
	h.must(h.importImage(name, map[string]file{"content": {content: []byte(content)}}))
	found, err := h.engine.ImageInspect(h.Context(), name)
	h.must(err)
	return found.ID
}

// removeImage removes an image from the host.
func (h *harness) removeImage(name string) {
	h.Helper()
	_, err := h.engine.ImageRemove(context.Background(), name, client.ImageRemoveOptions{Force: true})
	h.must(err)
}

// createRemoteImage creates an image in a registry. The host does not have it afterwards.
func (h *harness) createRemoteImage(at Registry, name, content string) (reference, id string) {
	h.Helper()
	reference = at.Address + "/" + h.name + ":" + name
	id = h.createImage(reference, content)
	h.upload(at, reference)
	h.removeImage(reference)
	return reference, id
}

// upload pushes an image of the host to a registry.
func (h *harness) upload(at Registry, reference string) {
	h.Helper()
	auth, err := authconfig.Encode(apiregistry.AuthConfig{Username: at.Username, Password: at.Password})
	h.must(err)
	response, err := h.engine.ImagePush(h.Context(), reference, client.ImagePushOptions{RegistryAuth: auth})
	h.must(err)
	defer response.Close()
	h.must(response.Wait(h.Context()))
}

func TestImageIsPulledWhenItIsMissing(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	at := privateRegistry(t)
	reference, id := h.createRemoteImage(at, "1", "one")
	release := bluegreen.Release{Image: reference}

	_, err := images{h.engine, PullNever, []Registry{at}, nil}.pin(t.Context(), release)
	var missing *ImageError
	if !errors.As(err, &missing) || !strings.Contains(err.Error(), "never pulled") {
		t.Errorf("got %v", err)
	}
	_, err = images{h.engine, PullMissing, nil, nil}.pin(t.Context(), release)
	if !errors.As(err, &missing) || !contains(err, reference) || !contains(err, "no basic auth credentials") {
		t.Errorf("without a login: %v", err)
	}
	wrong := at
	wrong.Password = "guessed"
	_, err = images{h.engine, PullMissing, []Registry{wrong}, nil}.pin(t.Context(), release)
	if !errors.As(err, &missing) || strings.Contains(err.Error(), wrong.Password) {
		t.Errorf("with a wrong login: %v", err)
	}
	got, err := images{h.engine, PullMissing, []Registry{at}, nil}.pin(t.Context(), release)
	h.must(err)
	if got != id {
		t.Errorf("it is pinned to %s, want %s", got, id)
	}
	h.removeImage(reference)
}

func TestMovedTagDoesNotChangeAPinnedImage(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	at := privateRegistry(t)
	name := at.Address + "/" + h.name + ":latest"
	former := h.createImage(name, "one")
	latest := h.createImage(name, "two")
	t.Cleanup(func() { h.removeImage(latest) })
	for _, policy := range []PullPolicy{PullMissing, PullNever} {
		i := images{h.engine, policy, []Registry{at}, nil}
		got, err := i.pin(t.Context(), bluegreen.Release{Image: name, ImageDigest: former})
		h.must(err)
		if got != former {
			t.Errorf("%s: it is pinned to %s, want %s", policy, got, former)
		}
		got, err = i.pin(t.Context(), bluegreen.Release{Image: name})
		h.must(err)
		if got != latest {
			t.Errorf("%s: for a new release it is pinned to %s, want %s", policy, got, latest)
		}
	}
	h.removeImage(former)
	_, err := images{h.engine, PullMissing, []Registry{at}, nil}.pin(t.Context(),
		bluegreen.Release{Image: name, ImageDigest: former})
	var missing *ImageError
	if !errors.As(err, &missing) {
		t.Errorf("once it is gone: %v", err)
	}
}

func TestPullAlwaysAsksTheRegistry(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	at := privateRegistry(t)
	reference, pushed := h.createRemoteImage(at, "latest", "of the registry")
	h.createImage(reference, "of the host")
	for _, policy := range []PullPolicy{PullMissing, PullAlways} {
		got, err := images{h.engine, policy, []Registry{at}, nil}.pin(t.Context(), bluegreen.Release{Image: reference})
		h.must(err)
		if (got == pushed) != (policy == PullAlways) {
			t.Errorf("%s: it is pinned to %s", policy, got)
		}
	}
	h.removeImage(reference)
}

// A tag that has moved in the registry is pulled for a new release, and only then.
func TestPullChangedAsksTheRegistry(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	at := privateRegistry(t)
	reference := at.Address + "/" + h.name + ":rolling"
	former := h.createImage(reference, "one")
	h.upload(at, reference)
	var warnings []string
	warn := func(message string) { warnings = append(warnings, message) }
	pin := func(registries []Registry, release bluegreen.Release) string {
		t.Helper()
		got, err := images{h.engine, PullChanged, registries, warn}.pin(t.Context(), release)
		h.must(err)
		return got
	}
	if got := pin([]Registry{at}, bluegreen.Release{Image: reference}); got != former {
		t.Errorf("the tag has not moved, and it is pinned to %s", got)
	}
	// Somebody else moves the tag in the registry.
	latest := h.createImage(reference, "two")
	h.upload(at, reference)
	h.must(errorOf(h.engine.ImageTag(t.Context(), client.ImageTagOptions{Source: former, Target: reference})))
	h.removeImage(latest)
	if got := pin(nil, bluegreen.Release{Image: reference}); got != former || len(warnings) != 1 {
		t.Errorf("without a login it is pinned to %s, with the warnings %q", got, warnings)
	}
	if got := pin([]Registry{at}, bluegreen.Release{Image: reference, ImageDigest: former}); got != former {
		t.Errorf("a release that was deployed before is pinned to %s", got)
	}
	got := pin([]Registry{at}, bluegreen.Release{Image: reference})
	if got == former || len(warnings) != 1 {
		t.Errorf("a moved tag is pinned to the former image, with the warnings %q", warnings)
	}
	h.removeImage(reference)
	h.removeImage(former)
}

// An image that was built on the host is in no registry that could be asked.
func TestPullChangedUsesWhatTheHostHasBuilt(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	name := "127.0.0.1:1/" + h.name + ":built"
	id := h.createImage(name, "built here")
	warn := func(message string) { t.Errorf("there is a warning: %s", message) }
	got, err := images{h.engine, PullChanged, nil, warn}.pin(t.Context(), bluegreen.Release{Image: name})
	h.must(err)
	if got != id {
		t.Errorf("it is pinned to %s, want %s", got, id)
	}
}

func TestImageThatDoesNotExist(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	at := privateRegistry(t)
	for image, want := range map[string]string{
		at.Address + "/nobody/has:this":     "not found",
		"Not A Reference":                   "invalid reference format",
		"sha256:" + strings.Repeat("0", 64): "a digest alone cannot be pulled",
	} {
		_, err := images{h.engine, PullMissing, []Registry{at}, nil}.pin(t.Context(), bluegreen.Release{Image: image})
		var missing *ImageError
		if !errors.As(err, &missing) || missing.Image != image || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", image, err)
		}
	}
}

func TestRegistryAddressesHaveSeveralSpellings(t *testing.T) {
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
