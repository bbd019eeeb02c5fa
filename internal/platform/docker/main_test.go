// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"go.uber.org/goleak"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
)

// parallel is how many tests run at the same time. Most of the time they wait for the
// engine.
const parallel = 4

// spoiledFile exists in a container once "spoil" was called in it.
const spoiledFile = "/spoiledFile"

// TestMain runs the program that the binary is called as. In a container it is the agent,
// a replica, a replica that exhausts its memory, or one of the commands in a replica's
// image: "false" fails, and "true" succeeds until "spoil" was called.
//
// Without a Docker engine the tests cannot run. That is a failure if
// BLUEGREEN_REQUIRE_DOCKER is set.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "true":
		if _, err := os.Stat(spoiledFile); err == nil {
			os.Exit(1)
		}
		os.Exit(0)
	case "spoil":
		if err := os.WriteFile(spoiledFile, nil, 0o600); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	case "false":
		fmt.Println("so it is")
		os.Exit(1)
	}
	if len(os.Args) > 1 && os.Args[1] == "hog" {
		exhaustMemory()
	}
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "-test.") {
		if err := pingEngine(); err != nil {
			fmt.Println("the Docker platform is NOT TESTED (`make docker-engine` starts an engine):", err)
			if os.Getenv("BLUEGREEN_REQUIRE_DOCKER") != "" {
				os.Exit(1)
			}
			os.Exit(0)
		}
		if err := flag.Set("test.parallel", strconv.Itoa(parallel)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	// A process of a story that dies during a call leaves the connection of that call to
	// the engine. The connection closes when it has been idle for some time.
	agenttest.Main(m,
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

// exhaustMemory allocates memory until the engine kills the process.
func exhaustMemory() {
	for held := [][]byte{}; ; {
		held = append(held, bytes.Repeat([]byte{1}, 1<<20))
		runtime.KeepAlive(held)
	}
}

func pingEngine() (err error) {
	engine, err := Connection{}.open()
	if err != nil {
		return err
	}
	defer engine.Close()
	defer engine.explain(&err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err = engine.Ping(ctx, client.PingOptions{})
	return err
}
