// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// ground is a platform that stories are played on, or the part of it that one
// story has to itself.
type platformUnderTest interface {
	// providerBlock is the platform's in the provider, settings those of a
	// deployment, and dataBlock that in a data source.
	providerBlock() string
	settings() attributes
	dataBlock() string
	// image is that of the test's service.
	image() string
	// id is that of the deployment called name.
	id(name string) string
	// open returns the deployment called name as somebody sees it who does not use
	// Terraform.
	open(name string) (openPlatform, error)
	// dial connects to an address as a client of the platform does.
	dial(ctx context.Context, network, address string) (net.Conn, error)
	// lag is how long the platform may send clients elsewhere after a switch.
	switchDelay() time.Duration
	// left tells what there is of any deployment.
	leftovers(ctx context.Context) ([]string, error)
	// expireLock takes the lock from a holder that has died, as time would.
	expireLock(ctx context.Context, name string) error
}

// testedPlatform is a platform as all the tests use it together.
type testedPlatform struct {
	kind string
	// require names the variable that makes it a failure if the platform is
	// missing, and with what make starts it.
	require, target string
	// find returns an error where there is none.
	find func() error
	// tests matches the tests that need it and nothing else.
	tests string
	// claim gives a test its part.
	claim func(t *testing.T) *harness
	// close removes what all tests used together.
	close func() error
}

// testedPlatforms are the platforms that there are.
var testedPlatforms = []testedPlatform{
	{
		kind:  kindLocal,
		find:  func() error { return nil },
		claim: claimOn(claimLocal),
		close: func() error { return nil },
	},
	{
		kindDocker,
		"BLUEGREEN_REQUIRE_DOCKER",
		"docker-engine",
		findDocker,
		"^TestDocker",
		claimOn(claimDocker),
		closeDocker,
	},
	{
		kindKubernetes,
		"BLUEGREEN_REQUIRE_KUBERNETES",
		"testbed",
		findKubernetes,
		"^TestKubernetes",
		claimOn(claimKubernetes),
		closeKubernetes,
	},
}

// claimOn makes a world of a part of a platform.
func claimOn[G platformUnderTest](claim func(t *testing.T) (name string, g G)) func(t *testing.T) *harness {
	return func(t *testing.T) *harness {
		t.Helper()
		name, g := claim(t)
		return &harness{t, name, g}
	}
}

// findPlatforms leaves only those that there are, says which are missing, and
// returns a pattern for the tests that cannot run.
func findPlatforms() (missing string, err error) {
	var there []testedPlatform
	var tests []string
	for _, g := range testedPlatforms {
		err := g.find()
		if err == nil {
			there = append(there, g)
			continue
		}
		fmt.Printf("the provider is NOT TESTED on the platform %s (`make %s` starts one): %v\n", g.kind, g.target, err)
		if os.Getenv(g.require) != "" {
			return "", fmt.Errorf("%s is set", g.require)
		}
		tests = append(tests, g.tests)
	}
	testedPlatforms = there
	return strings.Join(tests, "|"), nil
}

// closePlatforms removes what the tests have made together.
func closePlatforms() error {
	for _, g := range testedPlatforms {
		if err := g.close(); err != nil {
			return fmt.Errorf("%s: %w", g.kind, err)
		}
	}
	return nil
}

// onEachPlatform plays a story on every platform that there is, each time in a world
// of its own.
func onEachPlatform(t *testing.T, story func(h *harness)) {
	t.Helper()
	for _, g := range testedPlatforms {
		t.Run(g.kind, func(t *testing.T) {
			t.Parallel()
			story(g.claim(t))
		})
	}
}
