// SPDX-License-Identifier: MPL-2.0

package benchmarks

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// harness is a directory with Terraform configurations, and the providers in filesystem
// mirrors.
type harness struct {
	*testing.B
	dir       string
	terraform string
	// mute is the environment of Terraform in the directory mute, and env the environment
	// in all others.
	env, mute []string
}

func newHarness(b *testing.B) *harness {
	b.Helper()
	terraform := os.Getenv("TF_ACC_TERRAFORM_PATH")
	if terraform == "" {
		var err error
		if terraform, err = exec.LookPath("terraform"); err != nil {
			b.Fatal("Terraform is needed: ", err)
		}
	}
	// The name is short, because the path of a socket below it has at most 104 bytes.
	dir, err := os.MkdirTemp("", "bg")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			b.Error(err)
		}
	})
	h := &harness{B: b, dir: dir, terraform: terraform}
	host := "registry.terraform.io"
	if configured := os.Getenv("TF_ACC_PROVIDER_HOST"); configured != "" {
		host = configured
	}
	h.install(filepath.Join("mirror", host), "bluegreen", "../..")
	h.install(filepath.Join("mirror", host), "floor", "./floor")
	h.build("service", "../../examples/service")
	cliConfig := h.writeCLIConfig("mirror")
	h.env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+cliConfig, "CHECKPOINT_DISABLE=1", "BLUEGREEN_AGENT_IDLE=1s")
	// In the directory called mute the same configuration has another provider.
	h.install(filepath.Join("mirror-mute", host), "bluegreen", "./mute")
	h.mute = append(slices.Clone(h.env), "TF_CLI_CONFIG_FILE="+h.writeCLIConfig("mirror-mute"))
	return h
}

// writeCLIConfig writes a CLI configuration with this mirror, and returns its path.
func (h *harness) writeCLIConfig(name string) string {
	h.Helper()
	const config = "provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n"
	h.write(name+".tfrc", fmt.Sprintf(config, filepath.Join(h.dir, name)))
	return filepath.Join(h.dir, name+".tfrc")
}

// install builds the provider bluegreen/name from source into the mirror of a registry.
func (h *harness) install(registry, name, source string) {
	h.Helper()
	const version = "0.0.1"
	dir := filepath.Join(registry, "bluegreen", name, version, runtime.GOOS+"_"+runtime.GOARCH)
	h.build(filepath.Join(dir, "terraform-provider-"+name+"_v"+version), source)
}

func (h *harness) build(target, source string) {
	h.Helper()
	// The flags are those of a released binary; see GNUmakefile.
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(h.dir, target), source)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		h.Fatalf("building %s: %v\n%s", source, err, out)
	}
}

func (h *harness) write(name, text string) {
	h.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		h.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.Fatal(err)
	}
}

// initialize writes a Terraform configuration to dir and initializes it. What is created
// from the configuration is destroyed at the end.
func (h *harness) initialize(dir, text string) {
	h.Helper()
	h.write(filepath.Join(dir, "main.tf"), text)
	h.run(dir, "init", "-input=false")
	h.Cleanup(func() { h.run(dir, "destroy", "-auto-approve", "-input=false") })
}

// copyMute copies the configuration and the state of dir to the directory mute.
func (h *harness) copyMute(dir string) {
	h.Helper()
	for _, name := range []string{"main.tf", "terraform.tfvars", "terraform.tfstate"} {
		content, err := os.ReadFile(filepath.Join(h.dir, dir, name))
		if err != nil {
			h.Fatal(err)
		}
		h.write(filepath.Join("mute", name), string(content))
	}
	h.run("mute", "init", "-input=false")
}

// run runs Terraform in dir and returns how long it took.
func (h *harness) run(dir string, args ...string) time.Duration {
	h.Helper()
	cmd := exec.Command(h.terraform, append(args, "-no-color")...)
	cmd.Dir, cmd.Env = filepath.Join(h.dir, dir), h.env
	if dir == "mute" {
		cmd.Env = h.mute
	}
	began := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(began)
	if err != nil {
		h.Fatalf("terraform %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return took
}

func (h *harness) apply(dir string, variables ...string) time.Duration {
	h.Helper()
	args := []string{"apply", "-auto-approve", "-input=false"}
	for _, v := range variables {
		args = append(args, "-var", v)
	}
	return h.run(dir, args...)
}

// median returns the median in milliseconds.
func median(measured []time.Duration) float64 {
	slices.Sort(measured)
	return float64(measured[len(measured)/2].Microseconds()) / 1000
}

// report reports the medians, and compares what was measured with the floor provider.
func (h *harness) report(what string, floor, mute, measured []time.Duration) {
	f, m := median(floor), median(measured)
	h.ReportMetric(median(mute), "mute-ms")
	h.ReportMetric(0, "ns/op")
	h.ReportMetric(f, "floor-ms")
	h.ReportMetric(m, what+"-ms")
	h.ReportMetric(m/f, "x-floor")
}
