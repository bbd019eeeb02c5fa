// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// print prints the table, and under which circumstances it was measured.
func (s settings) print(ctx context.Context, all []*results, rate float64, autogroup, loadBefore string) error {
	fmt.Println()
	fmt.Printf("%d CPUs, %s, %s; %s\n", runtime.NumCPU(), kernel(), runtime.Version(), autogroup)
	for _, p := range proxies {
		if version := versionOf(ctx, p.name); version != "" {
			fmt.Println(version)
		}
	}
	fmt.Printf("load averages before: %s, after: %s\n", loadBefore, loadAverage())
	fmt.Printf("%d connections, medians of %d rounds of %s in turn; CPU is the time for each request, of the\n"+
		"proxy (in the row direct: of the replica), and of proxy, replica and wrk together; memory with %d idle\n"+
		"clients\n\n", s.connections, s.rounds, s.round, s.idleClients)
	return writeTable(os.Stdout, all, rate)
}

// writeTable writes the results, and how ours compares.
func writeTable(w io.Writer, all []*results, rate float64) error {
	var rows, ratios strings.Builder
	fmt.Fprintf(&rows, "\trequests/s\tlowest\thighest\tCPU\tall CPU\tp50 at %.0f/s\tp99\tlowest p99\t"+
		"KB/idle client\t\n", rate)
	for _, r := range all {
		memory := "-"
		if r.name != direct {
			memory = fmt.Sprintf("%.1f", float64(r.idleBytes)/1024)
		}
		fmt.Fprintf(&rows, "%s\t%.0f\t%.0f\t%.0f\t%s\t%s\t%s\t%s\t%s\t%s\t\n", r.name,
			median(r.perSecond), slices.Min(r.perSecond), slices.Max(r.perSecond),
			microseconds(median(r.cpu)), microseconds(median(r.allCPU)),
			microseconds(median(r.p50)), microseconds(median(r.p99)), microseconds(slices.Min(r.p99)), memory)
	}
	for _, r := range all[1:] {
		measured := ratiosOf(all[0].perSecond, r.perSecond)
		fmt.Fprintf(&ratios, "%s/%s: %.2f × the requests per second (%.2f to %.2f); %.2f × by all CPU; p99 %.2f ×\n",
			all[0].name, r.name, median(measured), slices.Min(measured), slices.Max(measured),
			median(r.allCPU).Seconds()/median(all[0].allCPU).Seconds(),
			median(all[0].p99).Seconds()/median(r.p99).Seconds())
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	if _, err := io.WriteString(table, rows.String()); err != nil {
		return err
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n"+ratios.String()+`
The first ratio is the median of the rounds. The ratio by all CPU is the one to expect on a machine
without other work, if all CPUs are busy. Other work hardly changes it.
`)
	return err
}

// ratiosOf returns a/b of each round. Both were measured within seconds, so that these
// ratios vary less than their parts if the machine does other work as well.
func ratiosOf(a, b []float64) []float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i] / b[i]
	}
	return ratios
}

// median returns the median, or of two in the middle the greater one.
func median[T cmp.Ordered](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func microseconds(d time.Duration) string { return fmt.Sprintf("%d µs", d.Microseconds()) }

// kernel returns the name and the release of the kernel.
func kernel() string {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return runtime.GOOS
	}
	return "Linux " + strings.TrimSpace(string(release))
}

// loadAverage returns how many processes could run on average in the last 1, 5 and 15
// minutes. Those of this benchmark are among them.
func loadAverage() string {
	content, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(content))[:3], " ")
}

// versionOf returns what a program says of its version, or "".
func versionOf(ctx context.Context, name string) string {
	flag := map[string]string{caddy: "version", nginx: "-v", haproxy: "-v"}[name]
	// One of them writes to its standard error.
	output, err := exec.CommandContext(ctx, name, flag).CombinedOutput()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(output), "\n")
	if !strings.Contains(strings.ToLower(line), name) {
		line = name + " " + line
	}
	return line
}

// profileRouter writes a CPU profile of the agent under load, and prints its top.
func (s settings) profileRouter(ctx context.Context, router target) error {
	if err := os.Remove(s.profile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := syscall.Kill(router.session, syscall.SIGUSR1); err != nil {
		return err
	}
	if _, err := s.runWrk(ctx, router.address, max(s.round, 10*time.Second)); err != nil {
		return err
	}
	if err := syscall.Kill(router.session, syscall.SIGUSR1); err != nil {
		return err
	}
	for {
		if _, err := os.Stat(s.profile); err == nil {
			break
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	top, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-nodecount=25", s.profile).Output()
	if err != nil {
		return fmt.Errorf("reading the profile: %w", err)
	}
	fmt.Printf("\n%s of the agent under load:\n%s", filepath.Base(s.profile), top)
	return nil
}
