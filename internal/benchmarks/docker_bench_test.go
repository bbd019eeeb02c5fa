// SPDX-License-Identifier: MPL-2.0

package benchmarks

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// dockerConfiguration returns the configuration of a deployment on a Docker host, with an
// agent of its own. It builds the deployment's image.
func (h *harness) dockerConfiguration() string {
	h.Helper()
	if out, err := exec.Command("docker", "version").CombinedOutput(); err != nil {
		if os.Getenv("BLUEGREEN_REQUIRE_DOCKER") != "" {
			h.Fatalf("a Docker engine is needed: %v\n%s", err, out)
		}
		h.Skip("no Docker engine answers (`make docker-engine` starts one)")
	}
	name := "bgbench-" + strings.ToLower(rand.Text()[:8])
	h.build("image/service", "../../examples/service")
	h.write("image/Dockerfile", "FROM scratch\nCOPY service /service\nENTRYPOINT [\"/service\"]\n")
	h.docker("build", "--quiet", "--tag", name, filepath.Join(h.dir, "image"))
	h.Cleanup(func() { h.docker("rmi", "--force", name) })
	return fmt.Sprintf(deploymentConfiguration, fmt.Sprintf("docker = { agent_name = %q }", name),
		fmt.Sprintf("image = %q\n  docker = { port = 8080, pull = \"never\" }", name))
}

func (h *harness) docker(args ...string) {
	h.Helper()
	if out, err := exec.Command("docker", args...).CombinedOutput(); err != nil {
		h.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// BenchmarkDockerRollbackByApply measures the same as BenchmarkRollbackByApply on a Docker
// host.
func BenchmarkDockerRollbackByApply(b *testing.B) {
	h := newHarness(b)
	h.initialize("web", h.dockerConfiguration())
	h.measureRollback()
}

// BenchmarkDockerPlan20 measures a `terraform plan` of 20 unchanged deployments on a Docker
// host.
func BenchmarkDockerPlan20(b *testing.B) {
	h := newHarness(b)
	h.initialize("web", h.dockerConfiguration())
	h.measurePlan(20)
}
