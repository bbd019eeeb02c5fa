// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
)

// TestMain makes this binary what it is run as: in a container it is the agent,
// a replica, or one of the two commands that a replica's image has beside it.
//
// Without a Docker engine the tests cannot run. That is a failure where
// BLUEGREEN_REQUIRE_DOCKER is set.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "true":
		os.Exit(0)
	case "false":
		fmt.Println("so it is")
		os.Exit(1)
	}
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "-test.") {
		if err := answers(); err != nil {
			fmt.Println("the Docker platform is NOT TESTED (`make docker-engine` starts an engine):", err)
			if os.Getenv("BLUEGREEN_REQUIRE_DOCKER") != "" {
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	agenttest.Main(m)
}

func answers() (err error) {
	engine, err := Connection{}.open()
	if err != nil {
		return err
	}
	defer engine.Close()
	defer engine.explain(&err)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err = engine.Ping(ctx, client.PingOptions{})
	return err
}
