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

// platformUnderTest is the part of a platform that one test has to itself.
type platformUnderTest interface {
	// providerBlock is the platform's block in the provider, settings are those of a
	// deployment, and dataBlock is the block in a data source.
	providerBlock() string
	settings() attributes
	dataBlock() string
	// image is the image of the test service.
	image() string
	// id is the id of the deployment called name.
	id(name string) string
	// open opens the platform of the deployment called name, without Terraform.
	open(name string) (openPlatform, error)
	// dial connects to an address as a client of the platform does.
	dial(ctx context.Context, network, address string) (net.Conn, error)
	// switchDelay is how long clients may reach the old environment after a switch.
	switchDelay() time.Duration
	// leftovers lists what exists of any deployment.
	leftovers(ctx context.Context) ([]string, error)
	// expireLock releases the lock of a process that has died without waiting for it to
	// expire.
	expireLock(ctx context.Context, name string) error
}

// testedPlatform is a platform that all tests share.
type testedPlatform struct {
	kind string
	// require is the environment variable that makes a missing platform a failure,
	// target is the make target that starts the platform.
	require, target string
	// find returns an error if the platform is missing.
	find func() error
	// tests matches the tests that run on this platform only.
	tests string
	// claim returns a harness on a part of the platform.
	claim func(t *testing.T) *harness
	// close removes what the tests shared.
	close func() error
}

// testedPlatforms are all platforms, and after findPlatforms those that are available.
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

// claimOn returns a function that makes a harness on a part of a platform.
func claimOn[P platformUnderTest](claim func(t *testing.T) (name string, p P)) func(t *testing.T) *harness {
	return func(t *testing.T) *harness {
		t.Helper()
		name, p := claim(t)
		return &harness{t, name, p}
	}
}

// findPlatforms removes the missing platforms from testedPlatforms, prints them, and
// returns a pattern of the tests that cannot run.
func findPlatforms() (missing string, err error) {
	var there []testedPlatform
	var tests []string
	for _, p := range testedPlatforms {
		err := p.find()
		if err == nil {
			there = append(there, p)
			continue
		}
		fmt.Printf("the provider is NOT TESTED on the platform %s (`make %s` starts one): %v\n", p.kind, p.target, err)
		if os.Getenv(p.require) != "" {
			return "", fmt.Errorf("%s is set", p.require)
		}
		tests = append(tests, p.tests)
	}
	testedPlatforms = there
	return strings.Join(tests, "|"), nil
}

// closePlatforms removes what the tests shared.
func closePlatforms() error {
	for _, p := range testedPlatforms {
		if err := p.close(); err != nil {
			return fmt.Errorf("%s: %w", p.kind, err)
		}
	}
	return nil
}

// onEachPlatform runs a test on every available platform, each time with a harness of
// its own.
func onEachPlatform(t *testing.T, test func(h *harness)) {
	t.Helper()
	for _, p := range testedPlatforms {
		t.Run(p.kind, func(t *testing.T) {
			t.Parallel()
			test(p.claim(t))
		})
	}
}
