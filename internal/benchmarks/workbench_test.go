// SPDX-License-Identifier: MPL-2.0

// Package benchmarks measures what a person at a terminal waits for: whole runs
// of Terraform with the real provider, beside a provider that does nothing.
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

// workbench is a directory with the providers in filesystem mirrors.
type workbench struct {
	*testing.B
	dir       string
	terraform string
	// env is for every directory but mute.
	env, mute []string
}

func newWorkbench(b *testing.B) *workbench {
	b.Helper()
	terraform := os.Getenv("TF_ACC_TERRAFORM_PATH")
	if terraform == "" {
		var err error
		if terraform, err = exec.LookPath("terraform"); err != nil {
			b.Fatal("Terraform is needed: ", err)
		}
	}
	// The name is short because a socket below it may have 104 bytes at most.
	dir, err := os.MkdirTemp("", "bg")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			b.Error(err)
		}
	})
	w := &workbench{B: b, dir: dir, terraform: terraform}
	host := "registry.terraform.io"
	if configured := os.Getenv("TF_ACC_PROVIDER_HOST"); configured != "" {
		host = configured
	}
	w.install(filepath.Join("mirror", host), "bluegreen", "../..")
	w.install(filepath.Join("mirror", host), "floor", "./floor")
	w.build("service", "../../examples/service")
	w.env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+w.mirror("mirror"), "CHECKPOINT_DISABLE=1", "BLUEGREEN_AGENT_IDLE=1s")
	// In the directory called mute the same configuration has another provider.
	w.install(filepath.Join("mirror-mute", host), "bluegreen", "./mute")
	w.mute = append(slices.Clone(w.env), "TF_CLI_CONFIG_FILE="+w.mirror("mirror-mute"))
	return w
}

// mirror writes a CLI configuration with this mirror, and returns its path.
func (w *workbench) mirror(name string) string {
	w.Helper()
	w.write(name+".tfrc", fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", filepath.Join(w.dir, name)))
	return filepath.Join(w.dir, name+".tfrc")
}

// install builds source into the mirror of a registry, as the provider bluegreen/name.
func (w *workbench) install(registry, name, source string) {
	w.Helper()
	const version = "0.0.1"
	w.build(filepath.Join(registry, "bluegreen", name, version, runtime.GOOS+"_"+runtime.GOARCH, "terraform-provider-"+name+"_v"+version), source)
}

func (w *workbench) build(target, source string) {
	w.Helper()
	// As released: see GNUmakefile.
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(w.dir, target), source)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		w.Fatalf("building %s: %v\n%s", source, err, out)
	}
}

func (w *workbench) write(name, text string) {
	w.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
}

// configuration makes dir a Terraform configuration, and destroys at the end
// what was made from it.
func (w *workbench) configuration(dir, text string) {
	w.Helper()
	w.write(filepath.Join(dir, "main.tf"), text)
	w.run(dir, "init", "-input=false")
	w.Cleanup(func() { w.run(dir, "destroy", "-auto-approve", "-input=false") })
}

// copyMute makes the directory mute a copy of dir: its configuration and its state.
func (w *workbench) copyMute(dir string) {
	w.Helper()
	for _, name := range []string{"main.tf", "terraform.tfvars", "terraform.tfstate"} {
		content, err := os.ReadFile(filepath.Join(w.dir, dir, name))
		if err != nil {
			w.Fatal(err)
		}
		w.write(filepath.Join("mute", name), string(content))
	}
	w.run("mute", "init", "-input=false")
}

// run runs Terraform in dir and returns how long it took.
func (w *workbench) run(dir string, args ...string) time.Duration {
	w.Helper()
	cmd := exec.Command(w.terraform, append(args, "-no-color")...)
	cmd.Dir, cmd.Env = filepath.Join(w.dir, dir), w.env
	if dir == "mute" {
		cmd.Env = w.mute
	}
	began := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(began)
	if err != nil {
		w.Fatalf("terraform %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return took
}

func (w *workbench) apply(dir string, variables ...string) time.Duration {
	w.Helper()
	args := []string{"apply", "-auto-approve", "-input=false"}
	for _, v := range variables {
		args = append(args, "-var", v)
	}
	return w.run(dir, args...)
}

// median of what was measured, in milliseconds.
func median(measured []time.Duration) float64 {
	slices.Sort(measured)
	return float64(measured[len(measured)/2].Microseconds()) / 1000
}

// report compares what was measured with the floor and the mute provider of the
// same run.
func (w *workbench) report(what string, floor, mute, measured []time.Duration) {
	f, m := median(floor), median(measured)
	w.ReportMetric(median(mute), "mute-ms")
	w.ReportMetric(0, "ns/op")
	w.ReportMetric(f, "floor-ms")
	w.ReportMetric(m, what+"-ms")
	w.ReportMetric(m/f, "x-floor")
}
