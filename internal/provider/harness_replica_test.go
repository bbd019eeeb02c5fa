// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// The behaviors of the test service: see the package replica. The first one, which
// errors contain, is too short to be masked as the value of an environment variable.
const (
	healthy        = ""
	unhealthy      = "sick"
	turnsUnhealthy = "sickens"
	guarded        = "guarded"
	exits          = "dies"
)

// replicaProgram builds that service, and returns where it is.
var replicaProgram = sync.OnceValues(func() (string, error) {
	program := filepath.Join(scratch, "replica")
	return program, goBuild("./replica", program)
})

// providerProgram builds the provider.
var providerProgram = sync.OnceValues(func() (string, error) {
	program := filepath.Join(scratch, "provider")
	return program, goBuild("../..", program, "-ldflags", "-X main.version="+mirroredVersion)
})

// goBuild links the program statically, so that it runs in a container with
// nothing else in it.
func goBuild(from, to string, flags ...string) error {
	build := exec.Command("go", append(append([]string{"build"}, flags...), "-o", to, from)...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w: %s", from, err, output)
	}
	return nil
}
