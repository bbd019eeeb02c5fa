// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// onCluster matches the tests that need a cluster.
const onCluster = "^(TestCluster|TestConformance|BenchmarkCluster)"

// TestMain leaves the tests that need a cluster out where there is none, and says
// so. That is a failure where BLUEGREEN_REQUIRE_KUBERNETES is set.
func TestMain(m *testing.M) {
	flag.Parse()
	bed, err := findTestbed()
	if err != nil {
		fmt.Println("the Kubernetes platform is NOT TESTED on a cluster (`make testbed` starts one):", err)
		if os.Getenv("BLUEGREEN_REQUIRE_KUBERNETES") != "" {
			os.Exit(1)
		}
		err = flag.Set("test.skip", onCluster)
	} else {
		err = atOnce()
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	theTestbed = bed
	code := m.Run()
	if bed != nil {
		code = max(code, bed.close())
	}
	if err := leftGoroutines(); code == 0 && err != nil {
		fmt.Println(err)
		code = 1
	}
	os.Exit(code)
}

// leftGoroutines returns an error about those that do not end. Where nobody answers
// a stream, spdystream waits half a minute for the answer, and a tunnel that was
// given up waits with it.
func leftGoroutines() error {
	limit := time.Now().Add(time.Minute)
	err := goleak.Find()
	for err != nil && time.Now().Before(limit) {
		err = goleak.Find()
	}
	return err
}

// testsAtOnce is how many tests run at the same time, unless -parallel says
// otherwise: they wait for the cluster for most of their time.
const testsAtOnce = "4"

func atOnce() error {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if given {
		return nil
	}
	return flag.Set("test.parallel", testsAtOnce)
}
