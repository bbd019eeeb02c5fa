// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"
	corev1 "k8s.io/api/core/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

// One of four pods falls sick. Clients notice it for no longer than the readiness probe and
// kube-proxy need.
func TestClusterSickPodIsNoticedForShort(t *testing.T) {
	t.Parallel()
	const (
		replicas, threshold, probeTimeout = 4, 2, time.Second
		// kube-proxy follows within about a second.
		bound = threshold*time.Second + probeTimeout + time.Second
		// busyTime is what a busy machine may add to that.
		busyTime = 10 * time.Second
	)
	h := newHarness(t, func(o *Options) {
		o.HealthCheck = &health.Config{HTTP: &health.HTTP{}, ProbeTimeout: probeTimeout}
		o.UnhealthyThreshold = threshold
	})
	h.makeLive("1.0.0", replicas)
	var pod *corev1.Pod
	for _, pod = range h.podsOf(bluegreen.Green) {
		break
	}
	tell := func(path string) func() error {
		return func() error {
			_, err := ask(client, fmt.Sprintf("http://%s:%d%s", pod.Status.PodIP, replicaPort, path))
			return err
		}
	}
	for _, c := range []struct {
		name         string
		sicken, heal func() error
	}{
		{"answers 503", tell("/sicken"), tell("/heal")},
		{"hangs up", tell("/hangup"), tell("/heal")},
		{
			"hangs",
			func() error { return signalPod(pod, syscall.SIGSTOP) },
			func() error { return signalPod(pod, syscall.SIGCONT) },
		},
	} {
		h.awaitAnswerOf(pod)
		h.must(c.sicken())
		began := time.Now()
		took := h.awaitNoFailure().Sub(began)
		t.Logf("%s: requests failed for %s; the bound is %s and a client's timeout",
			c.name, took.Round(time.Millisecond), bound)
		if took < 0 {
			t.Errorf("%s: no client has noticed", c.name)
		}
		if took > bound+clientPatience+busyTime {
			t.Errorf("%s: that is too long, even on a busy machine", c.name)
		}
		h.must(c.heal())
	}
}

// clientPatience is how long a client of awaitNoFailure waits for an answer.
const clientPatience = time.Second

// visitor is a client of the Service that opens a connection for each request.
var visitor = &http.Client{
	Transport: &http.Transport{DisableKeepAlives: true, DialContext: dialFromUnusedPort}, Timeout: clientPatience,
}

// awaitAnswerOf makes requests until this pod answers one.
func (h *harness) awaitAnswerOf(pod *corev1.Pod) {
	h.Helper()
	h.eventually(func() error {
		response, err := visitor.Get("http://" + h.clusterAddress())
		if err != nil {
			return err
		}
		response.Body.Close()
		if name := response.Header.Get("Replica"); name != pod.Name {
			return fmt.Errorf("pod %s answers", name)
		}
		return nil
	})
}

// eventually calls condition again and again until it returns nil.
func (h *harness) eventually(condition func() error) {
	h.Helper()
	_, err := backoff.Retry(h.Context(), func() (struct{}, error) { return struct{}{}, condition() },
		backoff.WithBackOff(backoff.NewConstantBackOff(requestPause)), backoff.WithMaxElapsedTime(time.Minute))
	h.must(err)
}

// awaitNoFailure makes requests, each on a connection of its own, until so many in a row have
// succeeded that every pod in the traffic has answered. It returns when the last request
// failed.
func (h *harness) awaitNoFailure() (last time.Time) {
	h.Helper()
	url := "http://" + h.clusterAddress() + "/"
	h.eventually(func() error {
		for range 40 {
			if _, err := ask(visitor, url); err != nil {
				last = time.Now()
				return err
			}
		}
		return nil
	})
	return last
}

// signalPod sends a signal to the first process of the pod, which runs on this machine.
func signalPod(pod *corev1.Pod, signal syscall.Signal) error {
	paths, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return err
	}
	for _, path := range paths {
		environ, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(environ, []byte("HOSTNAME="+pod.Name+"\x00")) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return err
		}
		return syscall.Kill(pid, signal)
	}
	return fmt.Errorf("no process of pod %s", pod.Name)
}
