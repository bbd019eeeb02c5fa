// SPDX-License-Identifier: MPL-2.0

package local_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// BenchmarkAgentIdle measures the resident memory, and the processor time in a second, of
// an agent without requests. Each of its deployments has a live environment and a standby.
func BenchmarkAgentIdle(b *testing.B) {
	for _, deployments := range []int{10, 100} {
		b.Run(fmt.Sprintf("deployments=%d", deployments), func(b *testing.B) {
			dir := agenttest.StateDir(b)
			for n := range deployments {
				s := newServiceIn(b, dir, fmt.Sprintf("web-%d", n), local.Frontend{})
				s.deployLive("1.0.0", 1)
				s.deployLive("2.0.0", 1)
			}
			pid := agenttest.PID(b, dir)
			var spent time.Duration
			for b.Loop() {
				before := processorTime(b, pid)
				<-time.After(time.Second)
				spent += processorTime(b, pid) - before
			}
			b.ReportMetric(residentMegabytes(b, pid), "MB-resident")
			b.ReportMetric(float64(spent.Milliseconds())/float64(b.N), "cpu-ms/s")
		})
	}
}

// BenchmarkDeployOfLargeImage measures a deploy with its switch, of an image of 1 GB in 1,000 files:
// the first one of the image, and one more of the same image, whose copy is there.
func BenchmarkDeployOfLargeImage(b *testing.B) {
	release := agenttest.Release(b, "1.0.0", agenttest.Healthy)
	content := make([]byte, 1<<20)
	for n := range 1000 {
		dir := filepath.Join(release.Image, strconv.Itoa(n%50))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		if _, err := rand.Read(content); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(n)), content, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	again := agenttest.Release(b, "2.0.0", agenttest.Healthy)
	again.Image = release.Image
	for b.Loop() {
		s := newService(b, local.Frontend{})
		began := time.Now()
		s.makeLive(release)
		b.ReportMetric(time.Since(began).Seconds(), "s/first")
		began = time.Now()
		s.must(s.DeployAndSwitch(b.Context(), again))
		b.ReportMetric(time.Since(began).Seconds(), "s/again")
		s.must(s.Destroy(b.Context()))
	}
}

// BenchmarkUpkeep measures which part of a core the agent needs to probe 100 healthy
// replicas, in one deployment and in ten.
func BenchmarkUpkeep(b *testing.B) {
	const replicas = 100
	for _, deployments := range []int{1, 10} {
		b.Run(fmt.Sprintf("deployments=%d", deployments), func(b *testing.B) {
			dir := agenttest.StateDir(b)
			for n := range deployments {
				release := agenttest.Release(b, "1.0.0", agenttest.Healthy)
				release.Replicas = replicas / deployments
				s := open(b, local.Options{
					StateDir: dir, Name: fmt.Sprintf("web-%d", n),
					Upkeep: &local.Upkeep{Release: release, UnhealthyThreshold: upkeepThreshold},
				})
				b.Cleanup(func() { s.must(s.Destroy(context.WithoutCancel(b.Context()))) })
				s.makeLive(release)
			}
			pid := agenttest.PID(b, dir)
			// Long enough for the kernel's hundredths of a second.
			const period = 10 * time.Second
			var spent time.Duration
			for b.Loop() {
				before := processorTime(b, pid)
				<-time.After(period)
				spent += processorTime(b, pid) - before
			}
			b.ReportMetric(100*spent.Seconds()/(period.Seconds()*float64(b.N)), "%-of-a-core")
		})
	}
}

// proc reads a file of the process's directory in /proc.
func proc(b *testing.B, pid int, file string) []byte {
	b.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		b.Fatal(err)
	}
	return content
}

// processorTime returns the user and system time that a process has used. The kernel counts
// it in hundredths of a second.
func processorTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	stat := proc(b, pid, "stat")
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var sum time.Duration
	for _, field := range fields[11:13] {
		ticks, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(ticks) * 10 * time.Millisecond
	}
	return sum
}

func residentMegabytes(b *testing.B, pid int) float64 {
	b.Helper()
	_, rest, _ := bytes.Cut(proc(b, pid, "status"), []byte("VmRSS:"))
	kilobytes, err := strconv.Atoi(strings.Fields(string(rest))[0])
	if err != nil {
		b.Fatal(err)
	}
	return float64(kilobytes) / 1024
}
