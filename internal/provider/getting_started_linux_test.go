// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"bytes"
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestGettingStarted does what the guide says: it runs the commands as they stand, writes
// and edits main.tf, and compares the output that is shown with the one that comes.
func TestGettingStarted(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../docs/guides/getting-started.md")
	if err != nil {
		t.Fatal(err)
	}
	steps := findGuideSteps(string(guide))
	if len(steps) < 20 {
		t.Fatalf("the guide has only %d blocks of code", len(steps))
	}
	r := newGuideReader(t)
	t.Cleanup(func() {
		if t.Failed() {
			// The failure is reported already.
			_ = r.command(context.Background(), "terraform destroy -auto-approve").Run()
		}
	})
	for i, step := range steps {
		switch step.language {
		case "hcl":
			r.write(step.code)
		case "diff":
			r.edit(step.code)
		case "shell":
			r.run(step.code, findShownOutput(steps[i+1:]))
		case "text":
		default:
			t.Errorf("nobody knows what to do with a block of %q", step.language)
		}
	}
}

// guideStep is a block of code in a guide.
type guideStep struct{ language, code string }

var codeBlock = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

func findGuideSteps(guide string) []guideStep {
	var steps []guideStep
	for _, block := range codeBlock.FindAllStringSubmatch(guide, -1) {
		steps = append(steps, guideStep{language: block[1], code: block[2]})
	}
	return steps
}

// findShownOutput returns the output that the guide shows of a command, "" if it shows none.
func findShownOutput(after []guideStep) string {
	for _, step := range after {
		switch step.language {
		case "text":
			return step.code
		case "shell":
			return ""
		}
	}
	return ""
}

// guideReader is somebody who follows a guide in an empty directory.
type guideReader struct {
	t   *testing.T
	dir string
	env map[string]string
}

// newGuideReader gives the reader a home and, if the test runs as root, a network: there
// the ports of the guide are free. Other users need these ports to be free.
func newGuideReader(t *testing.T) *guideReader {
	t.Helper()
	scratch, err := os.MkdirTemp("", "g")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(scratch); err != nil {
			t.Error(err)
		}
	})
	r := &guideReader{t: t, dir: filepath.Join(scratch, "e"), env: map[string]string{
		"HOME": filepath.Join(scratch, "h"), "PATH": filepath.Join(scratch, "bin") + ":" + os.Getenv("PATH"),
		"TMPDIR": scratch, "TF_CLI_ARGS": "-no-color", "CHECKPOINT_DISABLE": "1", agentIdleVariable: "50ms",
	}}
	for _, dir := range []string{r.dir, r.env["HOME"], filepath.Join(scratch, "bin")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	// The Terraform or OpenTofu that is under test.
	err = os.Symlink(os.Getenv("TF_ACC_TERRAFORM_PATH"), filepath.Join(scratch, "bin", "terraform"))
	if err != nil {
		t.Fatal(err)
	}
	r.useRepository()
	if os.Geteuid() == 0 {
		// The thread ends with the test, and with it the network.
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Fatal(err)
		}
		r.run("ip link set lo up", "")
	}
	return r
}

// useRepository lets the reader clone this repository, and build with the modules that are here.
func (r *guideReader) useRepository() {
	r.t.Helper()
	repository, err := filepath.Abs("../..")
	if err != nil {
		r.t.Fatal(err)
	}
	maps.Copy(r.env, map[string]string{
		"GIT_CONFIG_COUNT":   "2",
		"GIT_CONFIG_KEY_0":   "url." + repository + ".insteadOf",
		"GIT_CONFIG_VALUE_0": "https://github.com/bluegreen/terraform-provider-bluegreen",
		"GIT_CONFIG_KEY_1":   "safe.directory", "GIT_CONFIG_VALUE_1": "*",
	})
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOTOOLCHAIN"} {
		value, err := exec.CommandContext(r.t.Context(), "go", "env", name).Output()
		if err != nil {
			r.t.Fatal(err)
		}
		r.env[name] = strings.TrimSpace(string(value))
	}
}

func (r *guideReader) write(config string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, "main.tf"), []byte(config), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// edit makes the change that a diff shows.
func (r *guideReader) edit(diff string) {
	r.t.Helper()
	var before, after strings.Builder
	for line := range strings.Lines(diff) {
		if line[0] != '+' {
			before.WriteString(line[1:])
		}
		if line[0] != '-' {
			after.WriteString(line[1:])
		}
	}
	config, err := os.ReadFile(filepath.Join(r.dir, "main.tf"))
	if err != nil {
		r.t.Fatal(err)
	}
	if n := strings.Count(string(config), before.String()); n != 1 {
		r.t.Fatalf("main.tf has these lines %d times:\n%s\n%s", n, before.String(), config)
	}
	r.write(strings.Replace(string(config), before.String(), after.String(), 1))
}

// run runs commands, and answers each question with yes. The output must have what is
// shown, in this order. The commands fail if, and only if, an error is shown.
func (r *guideReader) run(commands, shown string) {
	r.t.Helper()
	var output bytes.Buffer
	command := r.command(r.t.Context(), commands)
	command.Stdout, command.Stderr = &output, &output
	err := command.Run()
	if fails := strings.HasPrefix(shown, "Error:"); (err != nil) != fails {
		r.t.Fatalf("%s\nended with %v:\n%s", commands, err, output.String())
	}
	rest := joinWords(output.String())
	for line := range strings.Lines(shown) {
		_, after, isFound := strings.Cut(rest, joinWords(line))
		if !isFound {
			r.t.Fatalf("%s\ndoes not show %q where the guide does:\n%s", commands, line, output.String())
		}
		rest = after
	}
	for line := range strings.Lines(commands) {
		if setting, isExport := strings.CutPrefix(line, "export "); isExport {
			name, value, _ := strings.Cut(strings.TrimSpace(setting), "=")
			r.env[name] = strings.ReplaceAll(strings.Trim(value, `"`), "$PWD", r.dir)
		}
	}
}

func (r *guideReader) command(ctx context.Context, commands string) *exec.Cmd {
	command := exec.CommandContext(ctx, "bash", "-e", "-c", commands)
	command.Dir, command.Stdin = r.dir, strings.NewReader(strings.Repeat("yes\n", 10))
	for _, name := range slices.Sorted(maps.Keys(r.env)) {
		command.Env = append(command.Env, name+"="+r.env[name])
	}
	return command
}

// joinWords returns text without the places at which Terraform breaks its lines.
func joinWords(text string) string { return strings.Join(strings.Fields(text), " ") }
