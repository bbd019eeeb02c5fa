// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"go.uber.org/goleak"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/build"
)

// scratch is what all tests share. It goes when they are done.
var scratch string

// versionVariable sets the version of an agent.
const versionVariable = "BLUEGREEN_TEST_VERSION"

// TestMain is two programs: the tests, and the agent that the provider under test
// starts from its own executable.
func TestMain(m *testing.M) {
	build.Version = cmp.Or(os.Getenv(versionVariable), build.Version)
	if len(os.Args) > 1 && os.Args[1] == "agent" {
		os.Exit(agent.Main(os.Args[2:]))
	}
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Println(err)
		code = 1
	}
	os.Exit(code)
}

// run runs the tests on the available platforms, and leaves nothing behind.
func run(m *testing.M) (code int, err error) {
	if scratch, err = os.MkdirTemp("", "bgt"); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	if err := prepareTerraform(); err != nil {
		return 0, err
	}
	missing, err := findPlatforms()
	if err != nil {
		return 0, err
	}
	if missing != "" {
		if err := flag.Set("test.skip", missing); err != nil {
			return 0, err
		}
	}
	if err := limitParallelTests(); err != nil {
		return 0, err
	}
	code = m.Run()
	if testing.Verbose() {
		fmt.Printf("the shortcut answered %d upgrades, %d refreshes and %d plans as the framework does\n",
			allAnswered.upgrades.Load(), allAnswered.refreshes.Load(), allAnswered.plans.Load())
	}
	if err := closePlatforms(); err != nil {
		return code, err
	}
	if code == 0 {
		// The test framework serves each provider with pipes that it does not close. The
		// garbage collector closes them, and the goroutines that read from them end.
		runtime.GC()
		err = goleak.Find()
	}
	return code, err
}

// parallelTests is how many tests run at the same time, unless -parallel says
// otherwise: they wait for other processes for most of their time.
const parallelTests = "4"

func limitParallelTests() error {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if given {
		return nil
	}
	return flag.Set("test.parallel", parallelTests)
}

// prepareTerraform keeps every run away from the network and from the
// configuration of the user.
func prepareTerraform() error {
	cliConfig := filepath.Join(scratch, "terraform.rc")
	if err := os.WriteFile(cliConfig, nil, 0o600); err != nil {
		return err
	}
	variables := map[string]string{
		"CHECKPOINT_DISABLE": "1",
		"TF_CLI_CONFIG_FILE": cliConfig,
		// An agent leaves nothing behind once its deployments are gone.
		agentIdleVariable: "50ms",
	}
	if os.Getenv("TF_ACC_TERRAFORM_PATH") == "" {
		terraform, err := exec.LookPath("terraform")
		if err != nil {
			return err
		}
		variables["TF_ACC_TERRAFORM_PATH"] = terraform
	}
	for name, value := range variables {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}
