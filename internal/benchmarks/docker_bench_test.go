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

// onDocker is a deployment of containers, on a Docker host with an agent of its own.
func (w *workbench) onDocker() string {
	w.Helper()
	if out, err := exec.Command("docker", "version").CombinedOutput(); err != nil {
		if os.Getenv("BLUEGREEN_REQUIRE_DOCKER") != "" {
			w.Fatalf("a Docker engine is needed: %v\n%s", err, out)
		}
		w.Skip("no Docker engine answers (`make docker-engine` starts one)")
	}
	name := "bgbench-" + strings.ToLower(rand.Text()[:8])
	w.build("image/service", "../../examples/service")
	w.write("image/Dockerfile", "FROM scratch\nCOPY service /service\nENTRYPOINT [\"/service\"]\n")
	w.docker("build", "--quiet", "--tag", name, filepath.Join(w.dir, "image"))
	w.Cleanup(func() { w.docker("rmi", "--force", name) })
	return fmt.Sprintf(deploymentConfiguration, fmt.Sprintf("docker = { agent_name = %q }", name),
		fmt.Sprintf("image = %q\n  docker = { port = 8080, pull = \"never\" }", name))
}

func (w *workbench) docker(args ...string) {
	w.Helper()
	if out, err := exec.Command("docker", args...).CombinedOutput(); err != nil {
		w.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// BenchmarkDockerRollbackByApply is BenchmarkRollbackByApply on a Docker host.
func BenchmarkDockerRollbackByApply(b *testing.B) {
	w := newWorkbench(b)
	w.configuration("web", w.onDocker())
	w.rollBack()
}

// BenchmarkDockerPlan20 measures a `terraform plan` of 20 deployments on a Docker
// host that are up to date.
func BenchmarkDockerPlan20(b *testing.B) {
	w := newWorkbench(b)
	w.configuration("web", w.onDocker())
	w.plan(20)
}
