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

// workbench is a directory with both providers in a filesystem mirror.
type workbench struct {
	*testing.B
	dir       string
	terraform string
	env       []string
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
	w.build(filepath.Join("mirror", host, "bluegreen/bluegreen/0.0.1", runtime.GOOS+"_"+runtime.GOARCH, "terraform-provider-bluegreen_v0.0.1"), "../..")
	w.build(filepath.Join("mirror", host, "bluegreen/floor/0.0.1", runtime.GOOS+"_"+runtime.GOARCH, "terraform-provider-floor_v0.0.1"), "./floor")
	w.build("service", "../../examples/service")
	w.write("cli.tfrc", fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", filepath.Join(dir, "mirror")))
	w.env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+filepath.Join(dir, "cli.tfrc"), "CHECKPOINT_DISABLE=1", "BLUEGREEN_AGENT_IDLE=1s")
	return w
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

// run runs Terraform in dir and returns how long it took.
func (w *workbench) run(dir string, args ...string) time.Duration {
	w.Helper()
	cmd := exec.Command(w.terraform, append(args, "-no-color")...)
	cmd.Dir, cmd.Env = filepath.Join(w.dir, dir), w.env
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

// report compares what was measured with the floor of the same run.
func (w *workbench) report(what string, floor, measured []time.Duration) {
	f, m := median(floor), median(measured)
	w.ReportMetric(0, "ns/op")
	w.ReportMetric(f, "floor-ms")
	w.ReportMetric(m, what+"-ms")
	w.ReportMetric(m/f, "x-floor")
}
