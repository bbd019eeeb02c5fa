// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent"
)

// scratch is what all tests share. It goes when they are done.
var scratch string

// TestMain is three programs: the tests, the agent that the provider under test
// starts from its own executable, and the service that the tests deploy.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "agent":
			os.Exit(agent.Main(os.Args[2:]))
		case "replica":
			os.Exit(runReplica())
		}
	}
	var err error
	if scratch, err = os.MkdirTemp("", "bgt"); err != nil {
		log.Fatal(err)
	}
	if err := prepareTerraform(); err != nil {
		log.Fatal(err)
	}
	goleak.VerifyTestMain(m,
		goleak.Cleanup(func(code int) {
			if err := os.RemoveAll(scratch); err != nil {
				log.Fatal(err)
			}
			os.Exit(code)
		}),
	)
}

// prepareTerraform keeps every run away from the network and from the
// configuration of whoever runs the tests.
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
