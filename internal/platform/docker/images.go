// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/cli/cli/config"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// images resolves the images of releases, and pulls them to the host.
type images struct {
	engine     *engine
	policy     PullPolicy
	registries []Registry
	// warn is called with the reason if the registry does not say whether a tag has moved,
	// and the image on the host is used. It may be nil.
	warn func(message string)
}

// pin returns the ID of the release's image, and pulls the image if necessary. A release
// that was pinned before keeps its image, even if the tag has moved.
func (i images) pin(ctx context.Context, release bluegreen.Release) (string, error) {
	wanted := release.Image
	if release.ImageDigest != "" {
		wanted = release.ImageDigest
	}
	if i.policy != PullAlways || release.ImageDigest != "" {
		id, err := i.find(ctx, wanted)
		if errdefs.IsInvalidArgument(err) {
			return "", &ImageError{release.Image, err}
		}
		if err == nil && i.policy == PullChanged && release.ImageDigest == "" && i.hasChanged(ctx, release.Image) {
			return i.pullAndFind(ctx, release, wanted)
		}
		if err == nil || !errdefs.IsNotFound(err) {
			return id, err
		}
		if i.policy == PullNever {
			err := errors.New("the host does not have it, and it is never pulled")
			return "", &ImageError{release.Image, err}
		}
	}
	return i.pullAndFind(ctx, release, wanted)
}

func (i images) pullAndFind(ctx context.Context, release bluegreen.Release, wanted string) (string, error) {
	if err := i.pull(ctx, release.Image); err != nil {
		return "", &ImageError{release.Image, err}
	}
	id, err := i.find(ctx, wanted)
	if errdefs.IsNotFound(err) {
		err = &ImageError{release.Image, fmt.Errorf("it was deployed as %s, which the host does not have any more, "+
			"and its reference names another image now", wanted)}
	}
	return id, err
}

func (i images) find(ctx context.Context, wanted string) (id string, err error) {
	found, err := i.engine.ImageInspect(ctx, wanted)
	return found.ID, err
}

// registryTimeout is how long a registry may take to say which image a tag points at.
const registryTimeout = 15 * time.Second

// hasChanged reports whether the registry has another image under this tag than the host.
// It asks no registry about an image that was built on the host, or that is named by its
// digest. If the registry does not say, it warns and returns false.
func (i images) hasChanged(ctx context.Context, image string) bool {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return false
	}
	if _, isDigested := named.(reference.Digested); isDigested {
		return false
	}
	found, err := i.engine.ImageInspect(ctx, image)
	known := digestsIn(found.RepoDigests, named)
	if err != nil || len(known) == 0 {
		return false
	}
	latest, err := i.askRegistry(ctx, named)
	if err != nil {
		if i.warn != nil {
			i.warn(fmt.Sprintf("The registry of image %s did not say whether its tag has moved. "+
				"The image on the host is used: %v", image, err))
		}
		return false
	}
	return !slices.Contains(known, latest)
}

// digestsIn returns the digests that an image of the host has in a repository.
func digestsIn(repoDigests []string, repository reference.Named) []string {
	var digests []string
	for _, text := range repoDigests {
		parsed, err := reference.ParseNormalizedNamed(text)
		digested, ok := parsed.(reference.Digested)
		if err == nil && ok && parsed.Name() == repository.Name() {
			digests = append(digests, digested.Digest().String())
		}
	}
	return digests
}

// askRegistry returns the digest that a tag has in its registry.
func (i images) askRegistry(ctx context.Context, named reference.Named) (string, error) {
	auth, err := i.registryAuth(reference.Domain(named))
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	options := client.DistributionInspectOptions{EncodedRegistryAuth: auth}
	latest, err := i.engine.DistributionInspect(ctx, reference.TagNameOnly(named).String(), options)
	return latest.Descriptor.Digest.String(), err
}

func (i images) pull(ctx context.Context, image string) error {
	parsed, err := reference.ParseAnyReference(image)
	if err != nil {
		return err
	}
	named, ok := parsed.(reference.Named)
	if !ok {
		return errors.New("the host does not have it, and a digest alone cannot be pulled")
	}
	auth, err := i.registryAuth(reference.Domain(named))
	if err != nil {
		return err
	}
	options := client.ImagePullOptions{RegistryAuth: auth}
	response, err := i.engine.ImagePull(ctx, reference.TagNameOnly(named).String(), options)
	if err == nil {
		defer response.Close()
		err = response.Wait(ctx)
	}
	if err != nil {
		return fmt.Errorf("pulling: %w", err)
	}
	return nil
}

// dockerHub is the name under which `docker login` stores the credentials of the
// registry of images without a domain.
const (
	dockerHub       = "https://index.docker.io/v1/"
	dockerHubDomain = "docker.io"
)

// registryAuth returns the login for a registry, encoded for the engine, or "" for none.
func (i images) registryAuth(domain string) (string, error) {
	for _, r := range i.registries {
		if domainOf(r.Address) == domain {
			return authconfig.Encode(registry.AuthConfig{
				Username: r.Username, Password: r.Password, ServerAddress: r.Address,
			})
		}
	}
	key := domain
	if domain == dockerHubDomain {
		key = dockerHub
	}
	stored, err := config.LoadDefaultConfigFile(io.Discard).GetAuthConfig(key)
	if err != nil {
		return "", fmt.Errorf("reading the stored login for %s: %w", domain, err)
	}
	if stored.Username == "" && stored.IdentityToken == "" && stored.RegistryToken == "" {
		return "", nil
	}
	return authconfig.Encode(registry.AuthConfig{
		Username: stored.Username, Password: stored.Password, ServerAddress: stored.ServerAddress,
		IdentityToken: stored.IdentityToken, RegistryToken: stored.RegistryToken,
	})
}

// domainOf returns the domain of a registry's address, with or without a scheme or path.
func domainOf(address string) string {
	_, host, schemed := strings.Cut(address, "://")
	if !schemed {
		host = address
	}
	host, _, _ = strings.Cut(host, "/")
	if host == "index.docker.io" || host == "registry-1.docker.io" {
		return dockerHubDomain
	}
	return host
}
